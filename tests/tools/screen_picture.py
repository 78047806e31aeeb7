"""Draw README's picture: the real screen on the real embedded default, as it looks after a minute.

    make picture        (or: .venv/bin/python -m tests.tools.screen_picture docs/screen.svg)

The screen runs headless at 120x40 with a core of its own in a temporary home; nothing is faked.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from adan_core.domain.time import SystemClock
from adan_core.runtime.client import ClientOptions, open_client
from adan_tui.app import AdanApp
from adan_tui.opening import Opening

CANDLES = 400
SECONDS_PER_CANDLE = 0.1


async def draw(target: Path, home: Path) -> None:
    """Let the market run for ``CANDLES`` candles, then write what the screen shows."""
    options = ClientOptions(home=home, overrides=(f"market.candle_seconds={SECONDS_PER_CANDLE}",))
    app = AdanApp(Opening(lambda: open_client(options)), SystemClock())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(60.0 + CANDLES * SECONDS_PER_CANDLE)
        target.write_text(app.export_screenshot(title="ADAN"), encoding="utf-8")
        await pilot.press("f10")


def main() -> None:
    """Write the picture to the path given."""
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(draw(Path(sys.argv[1]), Path(home)))


if __name__ == "__main__":
    main()
