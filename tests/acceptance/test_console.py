"""The console in a real browser, against the demo."""

import os
import shutil
import subprocess
from pathlib import Path

from harness import CACHE, ROOT, Process


def browser():
    names = ["chromium", "chromium-browser", "google-chrome"]
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    assert found, "no browser: `scripts/setup --tests` installs chromium"
    return found


def test_pages_themes_keys_and_accessibility(folder):
    demo = Process("demo", ["demo", "--symbols", 8, "--speed", 60], folder)
    url = demo.line("console")
    # The test's own folder: pictures of an earlier run prove nothing about this one.
    pictures = folder / "screenshots"
    pictures.mkdir()
    variables = {
        **os.environ, "BASE_URL": url, "SCREENSHOTS": str(pictures), "CHROMIUM": browser(),
        "PATIENCE": "90",
    }
    # A walk through every page, then each of them under the eyes of axe-core.
    for walk in ("e2e/console.mjs", "e2e/access.mjs"):
        done = subprocess.run(
            ["node", walk], cwd=ROOT / "console", env=variables, capture_output=True, text=True,
            timeout=1200, check=False,
        )
        # For people to look at, also after a failure; outside the repository.
        gallery = Path(os.environ.get("MARKETLAKE_SCREENSHOTS") or CACHE / "screenshots")
        shutil.copytree(pictures, gallery, dirs_exist_ok=True)
        assert done.returncode == 0, f"{walk}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    for name in ("markets-dark.png", "markets-light.png"):
        assert (pictures / name).is_file(), f"no picture `{name}` was taken"
    code, seconds = demo.terminate()
    assert code == 0 and seconds < 10, f"exit {code} after {seconds:.1f} s"
