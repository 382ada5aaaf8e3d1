"""Live pages that are read all day: slow, for as long as COUNTERPOINT_SOAK_SECONDS says."""

from __future__ import annotations

import http.client
import threading

import pytest
from viewer_folders import make_run, row, save_comparison

from counterpoint.runs.metrics import read_rows
from counterpoint.viewer import FolderPages
from counterpoint.viewer.server import PageServer
from soak import HAS_PROC, SECONDS, Growth

PATHS = ("/", "/a%20run/report.html", "/a%20comparison/report.html", "/none")
DAY_MB = 64.0
"""Most that memory may grow in 24 hours, by the slope that was measured."""
WARM = 15_000
"""Steps before the first sample. Each request has a thread, and glibc fills the memory of up to
eight threads a processor: 67 MB became 70 MB in 12,000 steps, and were 70 MB 78,000 steps later."""


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 6000)
@pytest.mark.fault("R23")
@pytest.mark.skipif(not HAS_PROC, reason="no /proc here to read the memory from")
def test_pages_of_runs_that_change_all_day_keep_memory_and_files(tmp_path, record_property):
    folder = tmp_path / "out"
    save_comparison(folder / "a comparison")
    make_run(folder / "a run", end="killed", steps=tuple(range(10, 400, 10)))
    series = folder / "a run" / "metrics.jsonl"
    whole, rows = series.read_bytes(), len(read_rows(series)[0])
    pages, growth, number = FolderPages(folder), Growth(), 0
    with PageServer(pages.page, pages.changed, 0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            while number < WARM or not growth.is_over():
                number += 1  # the last row changes, so that every page is drawn again
                changed = repr(row(400, -number % 97)).replace("'", '"').encode()
                series.write_bytes(whole + changed + b"\n")
                for path in PATHS:
                    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
                    connection.request("GET", path)
                    answer = connection.getresponse()
                    assert (answer.status == 200) == (path != "/none"), path
                    assert answer.read()
                    connection.close()
                if number == WARM:
                    growth = Growth()
                if number > WARM and number % 10 == 0:
                    growth.note(number)
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
    record_property("measured", f"live pages, {growth.told()}")
    assert rows == 39
    memory, files = growth.ahead()
    assert memory < DAY_MB, growth.told()
    assert growth.rows[-1][3] <= growth.rows[len(growth.rows) // 5][3] + 2, growth.told()
    assert files < 100, growth.told()
