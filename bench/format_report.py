"""Table and plot of what bench/formats.py measured."""

from __future__ import annotations

from typing import Any

TITLES = {
    "store-f32": "store, f32",
    "store-f32-processes": "store, f32, workers as processes",
    "store-f16": "store, f16",
    "mapped": "plain memory map",
    "memory": "all in memory, one tensor",
    "hdf5-flat": "HDF5, flat",
    "hdf5-groups": "HDF5, group an image",
    "lmdb": "LMDB (MMF)",
    "npz": "npz an image",
    "arrow": "Arrow (datasets)",
    "webdataset": "webdataset (tar shards)",
    "mds": "mosaicml-streaming (MDS)",
    "tsv": "list of dicts from TSV",
}
COLUMNS = (
    "way",
    "images",
    "disk, GB",
    "first batch, cold / warm, s",
    "warm, 0 / 2 / 4 workers, images/s",
    "cold, 0 / 2 / 4 workers, images/s",
    "little memory, 0 / 2 workers, images/s",
    "memory with 1 / 4 workers, GB",
    "of it private, GB",
)


def make_table(results: dict[str, Any]) -> str:
    """One line a format, in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| " + " | ".join("---" for _ in COLUMNS) + " |"]
    for name in filter(results["formats"].__contains__, TITLES):
        found = results["formats"][name]
        one, four = found["memory_1"], found["memory_4"]
        cells = (
            TITLES[name],
            f"{found['images']:,}",
            f"{found['bytes'] / 1e9:.2f}",
            f"{_seconds(found['first_cold'])} / {_seconds(found['first_warm'])}",
            _rates(found, "warm", (0, 2, 4)),
            _rates(found, "cold", (0, 2, 4)),
            _rates(found, "limited", (0, 2)),
            f"{one['Pss']:.2f} / {four['Pss']:.2f}",
            f"{one['Pss_Anon']:.2f} / {four['Pss_Anon']:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _rates(found: dict[str, Any], state: str, workers: tuple[int, ...]) -> str:
    words = []
    for count in workers:
        key = f"{state}_{count}"
        if key not in found:
            words.append("-")
        else:
            words.append("dies" if found[key] is None else f"{found[key]:,.0f}")
    return " / ".join(words)


def draw_plot(results: dict[str, Any], path: str) -> None:
    """Shuffled images a second, warm, cold and with little memory, the best number of workers of each."""
    import matplotlib

    matplotlib.use("Agg")
    # Text stays text, and the same figures give the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lxmert-data", "font.size": 10})
    from matplotlib import pyplot

    formats = {name: results["formats"][name] for name in TITLES if name in results["formats"]}
    titles = [TITLES[name] for name in formats]
    figure, axes = pyplot.subplots(figsize=(9, 0.62 * len(formats) + 1.4))
    states = (
        ("warm", "in the page cache", "#1b6ca8"),
        ("cold", "cold", "#8cc5e8"),
        ("limited", "half fits", "#e0a458"),
    )
    for at, (state, label, colour) in enumerate(states):
        rates = [_best(found, state) for found in formats.values()]
        places = [index + (at - 1) * 0.27 for index in range(len(titles))]
        bars = axes.barh(places, rates, 0.25, label=label, color=colour)
        axes.bar_label(bars, [f"{rate:,.0f}" if rate else "" for rate in rates], padding=3, fontsize=8)
    axes.set_yticks(range(len(titles)), titles)
    axes.invert_yaxis()
    axes.set_xlabel(f"shuffled images a second, batches of {results['batch']}, best of 0, 2 and 4 workers")
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


def _best(found: dict[str, Any], state: str) -> float:
    return max((found.get(f"{state}_{count}") or 0.0 for count in (0, 2, 4)), default=0.0)
