"""A report of very many samples stays small, and one opens in a real browser."""

import http.server
import re
import shutil
import subprocess
import threading
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

import lawbound as lb
from lawbound import comparison
from lawbound.comparison import imposed, judge
from lawbound.report import write_report
from lawbound.surrogates.covariance import Diagonal
from lawbound.surrogates.prediction import Prediction

SOURCES = {"title": "A report", "config": {}, "command": "lawbound compare"}


def noisy(part, at):
    shown = part.isel(t=at)
    u = torch.from_numpy(shown.u.values.astype(float))[None].flatten(3)
    generator = torch.Generator().manual_seed(int(part.sample.values[0]))
    return Prediction(
        u + 0.1 * torch.randn(u.shape, generator=generator, dtype=u.dtype),
        Diagonal(torch.full_like(u, 0.01)),
        shown,
    )


def repeated(data, count):
    """The same samples over and over, with numbers of their own."""
    many = data.isel(sample=np.arange(count) % data.sizes["sample"])
    return many.assign_coords(sample=xr.Variable("sample", np.arange(count), many.sample.attrs))


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_report_of_very_many_samples_is_below_ten_megabytes(count, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "_CHUNK", 1000)
    small = lb.generate("stefan", 4, nx=16, nt=21, split="test", seed=1)
    data = repeated(small.isel(t=[0, 10]), count)
    result = judge(
        {"gp": noisy, "anp": noisy},
        data,
        [imposed("conservation"), imposed("conservation:project")],
        table="big",
    )
    assert sum(case.samples.size for case in result.cases) == count
    page, *rest = write_report([("Big", result)], tmp_path / "report.html", **SOURCES)
    assert page.stat().st_size < 4e6
    assert all(file.stat().st_size < 1e5 for file in rest)


def browser():
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
        None,
    )
    if found is None:
        pytest.skip("no Chromium; on Debian: apt install chromium")
    return found


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (400, False), (1200, True)])
def test_a_report_opens_in_a_browser_without_errors_and_fetches_nothing(tmp_path, width, dark):
    data = lb.generate("pme-2d", 2, nx=10, nt=4, split="test")
    result = judge({"fno": noisy}, data, [imposed("conservation")], table="pme-2d")
    write_report([("A plane", result)], tmp_path / "report.html", **SOURCES)
    asked = []

    class Counting(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    picture = tmp_path / "page.png"
    try:
        done = subprocess.run(
            [
                browser(),
                *(
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--hide-scrollbars",
                    "--enable-logging=stderr",
                ),
                *(["--blink-settings=preferredColorScheme=0"] if dark else []),
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--window-size={width},3000",
                f"--screenshot={picture}",
                f"http://127.0.0.1:{server.server_port}/report.html",
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert set(asked) <= {"/report.html", "/favicon.ico"} and "/report.html" in asked
    told = [line for line in re.findall(r".*CONSOLE.*", done.stderr) if "favicon" not in line]
    assert not told, told
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=float)
    assert pixels.shape[1] == width and pixels.std() > 10.0
    assert (pixels[5, 5] < 60) == dark
