"""What notebooks show of stores and rows."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from store_writer import make_rows, write_store

from lxmert_data import FeatureStore

HOSTILE = '<img src=x onerror="alert(1)">&'


class Elements(HTMLParser):
    """Counts elements, and checks that each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.found)


@pytest.mark.parametrize("six", [False, True])
def test_a_store_and_its_rows(six: bool, tmp_path: Path) -> None:
    rows = make_rows(7)
    store = FeatureStore(write_store(tmp_path / "s.safetensors", rows, six=six))
    page = Elements(store._repr_html_())
    assert rows[0]["img_id"] in page.text and rows[5]["img_id"] not in page.text and "and 2 more" in page.text
    assert "f32, 36 x 2048" in page.text and str(tmp_path) in page.text
    row = Elements(store[3]._repr_html_())
    assert row.count("rect") == 37 and row.count("image") == 0
    assert row.count("tr") == 37 and row.count("th") == (5 if six else 9)
    first = [attributes for tag, attributes in row.found if tag == "rect"][1]
    x1, y1, x2, y2 = rows[3]["boxes"][0].tolist()
    assert [float(str(first[name])) for name in ("x", "y", "width", "height")] == pytest.approx(
        [x1, y1, x2 - x1, y2 - y1], abs=0.051
    )


@pytest.mark.parametrize("folder", ["", "train2014"])
def test_the_image_is_below_the_boxes_where_it_is_at_hand(folder: str, tmp_path: Path) -> None:
    store = FeatureStore(write_store(tmp_path / "s.safetensors", make_rows(2)))
    (tmp_path / "images" / folder).mkdir(parents=True)
    (tmp_path / "images" / folder / f"{store.ids[1]}.png").write_bytes(b"\x89PNG")
    store.images = str(tmp_path / "images")
    page = Elements(store[1]._repr_html_())
    (image,) = [attributes for tag, attributes in page.found if tag == "image"]
    assert image["href"] == "data:image/png;base64,iVBORw=="
    assert Elements(store[0]._repr_html_()).count("image") == 0


def test_ids_cannot_leave_the_page_or_the_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    ids = [HOSTILE, "../secret", str(tmp_path / "secret")]
    store = FeatureStore(write_store(tmp_path / "s.safetensors", make_rows(3, ids=ids)))
    store.images = str(tmp_path / "images")
    for page in (store._repr_html_(), store[0]._repr_html_(), store[1]._repr_html_(), store[2]._repr_html_()):
        elements = Elements(page)
        assert elements.count("img") == elements.count("image") == 0
        assert not re.search(r"(?:href|src)=\"http", page)
    assert HOSTILE in Elements(store[0]._repr_html_()).text
