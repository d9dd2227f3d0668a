"""A person at the page: sees pixels, presses keys, moves the mouse."""

from __future__ import annotations

import asyncio
import time

from playwright.async_api import Locator, Page

# The middle of the opponent's colour on the canvas (the minimap left out) in CSS pixels, or null.
FIND_OPPONENT = """() => {
  const canvas = document.querySelector(".arena canvas");
  const dot = document.querySelector(".scores tr:not(.own) .dot");
  if (!canvas || !dot) return null;
  const [red, green, blue] = getComputedStyle(dot).backgroundColor.match(/[0-9]+/g).map(Number);
  const ratio = canvas.width / canvas.clientWidth;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0, sumX = 0, sumY = 0;
  for (let y = 0; y < canvas.height; y += 1) {
    for (let x = 0; x < canvas.width; x += 1) {
      if (x > canvas.width - 220 * ratio && y > canvas.height - 180 * ratio) continue;
      const at = 4 * (y * canvas.width + x);
      const off = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue);
      if (off < 12) { count += 1; sumX += x; sumY += y; }
    }
  }
  return count > 100 ? [sumX / count / ratio, sumY / count / ratio] : null;
}"""


class Player:
    """One tab and what its player does there."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def canvas(self) -> Locator:
        return self.page.locator(".arena canvas")

    async def press_play(self, game: str) -> None:
        """Choose a game and queue for it."""
        await self.page.locator(".play select").select_option(game)
        await self.page.get_by_role("button", name="Play", exact=True).click()

    async def joined(self) -> None:
        """Wait until the match can be seen."""
        await self.page.locator(".scores .own").wait_for()
        await self.page.locator(".scores tr").nth(1).wait_for()

    async def opponent(self) -> tuple[float, float] | None:
        """Where the opponent is seen, in CSS pixels."""
        found = await self.page.evaluate(FIND_OPPONENT)
        return (found[0], found[1]) if found else None

    async def drive(self, *, for_s: float = 1.5) -> None:
        """Drive on for a while."""
        await self.canvas.focus()
        await self.page.keyboard.down("w")
        await asyncio.sleep(for_s)
        await self.page.keyboard.up("w")

    async def fight(self, *, for_s: float) -> None:
        """Shoot at the opponent wherever it is seen, until the time or the match is over."""
        start = time.monotonic()
        while time.monotonic() < start + for_s and await self.canvas.count():
            if (place := await self.opponent()) is not None:
                await self.page.mouse.move(*place)
                await self.page.mouse.down()
            await asyncio.sleep(0.1)
        await self.page.mouse.up()
