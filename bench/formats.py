"""The store against the other ways to feed features to training, with PyTorch's DataLoader, shuffled.

    npm run bench -- formats [--images 20000] [--only store-f32,hdf5-flat] [--json R.json] [--table T.md] [--plot P.svg]

Makes the same images (rows of the true shape, made-up content; 20,000 are 6 GB) in one format after the other, in
BENCH_DIR or the system's temporary folder, and deletes each when it is measured. Needs Linux, PyTorch 2, the package of
reader/ and h5py, pyarrow, lmdb, datasets, webdataset, mosaicml-streaming and matplotlib. With --from R.json it only
makes table and plot.
"""

from __future__ import annotations

import argparse
import json

from format_report import draw_plot, make_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="images in each format (default 20000)")
    parser.add_argument("--measure", type=int, default=8192, help="images a rate is taken over, at most (default 8192)")
    parser.add_argument("--seconds", type=float, default=8, help="and seconds, at most (default 8)")
    parser.add_argument("--only", help="names of formats, with commas")
    parser.add_argument("--json", help="write all figures to this file; with --only, replace those in it")
    parser.add_argument("--from", dest="source", help="make table and plot of figures that were written before")
    parser.add_argument("--table", help="write the table to this Markdown file, not to standard output")
    parser.add_argument("--plot", help="write a plot to this .svg or .png file")
    options = parser.parse_args()
    if options.source is None:
        # Only measuring needs PyTorch and the libraries of the formats.
        from format_bench import run

        results = run(options)
    else:
        with open(options.source) as file:
            results = json.load(file)
    table = make_table(results)
    if options.table is None:
        print(table)
    else:
        with open(options.table, "w") as file:
            file.write(table)
    if options.plot is not None:
        draw_plot(results, options.plot)


if __name__ == "__main__":
    main()
