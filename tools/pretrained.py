"""Make a trained network one that comes with lawbound.

    python tools/pretrained.py RUN NAME --what TEXT --data TEXT --command TEXT …

RUN is a run folder, or one of `benchmarks/published_anp.py` that `judge` has seen. Weights and options go to
lawbound/data/pretrained-NAME, with `about.json`; no state of training, no log.
"""

import argparse
import json
import shutil
from pathlib import Path

import lawbound as lb
from lawbound.datasets.disk import write_text
from lawbound.pretrained import ABOUT
from lawbound.surrogates.checkpoint import CONFIG, MODEL, read_config

LARGEST = 4_000_000  # bytes; all of them go into every wheel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--what", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--command", nargs="+", required=True)
    asked = parser.parse_args()
    lb.load(asked.run)  # refuses what does not fit
    size = (asked.run / MODEL).stat().st_size
    if size > LARGEST:
        raise SystemExit(f"{asked.run / MODEL} has {size} bytes; give a network of at most {LARGEST}.")
    folder = Path(__file__).parents[1] / "lawbound" / "data" / f"pretrained-{asked.name}"
    folder.mkdir(exist_ok=True)
    for file in (MODEL, CONFIG):
        shutil.copyfile(asked.run / file, folder / file)
        (folder / file).chmod(0o644)
    about = {
        "what": asked.what,
        "commands": asked.command,
        "seed": read_config(asked.run).seed,
        "data": asked.data,
    }
    write_text(folder / ABOUT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
