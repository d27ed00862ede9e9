// What the chart shows: its drawing as pixels, its table as numbers.

/** Fewer pixels may be a speck; one candle alone has more. */
export const PIXELS_MIN = 50;
/** Of 255 per color channel: what a codec may round, far from any other color of the page. */
const TOLERANCE = 3;

/** A picture of the candles alone: without the texts above them and the scales beside them. */
export async function pictureOfCandles(page) {
  const canvases = await page.locator('[data-testid="chart"] canvas').all();
  const boxes = (await Promise.all(canvases.map((canvas) => canvas.boundingBox()))).filter(Boolean);
  const [pane] = boxes.sort((a, b) => b.width * b.height - a.width * a.height);
  if (!pane) throw new Error('the chart has no canvas');
  const legend = await page.getByTestId('legend').boundingBox();
  const top = Math.ceil(Math.max(pane.y, legend ? legend.y + legend.height : 0));
  return page.screenshot({ clip: { x: pane.x, y: top, width: pane.width, height: pane.y + pane.height - top } });
}

/** Counts the pixels in the theme's colors of rising and falling candles. Volumes have other, paler ones. */
export function countCandlePixels(page, picture) {
  return page.evaluate(async ([base64, tolerance]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    const style = getComputedStyle(document.documentElement);
    const count = (token) => {
      const channels = style.getPropertyValue(token).trim().slice(1).match(/../g).map((hex) => parseInt(hex, 16));
      let pixels = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (channels.every((channel, of) => Math.abs(data[at + of] - channel) <= tolerance)) pixels += 1;
      }
      return pixels;
    };
    return { up: count('--up'), down: count('--down') };
  }, [picture.toString('base64'), TOLERANCE]);
}

/** The closes of the table by the starts of their bars, epoch milliseconds. */
export async function closesOfTable(page) {
  const rows = page.locator('[data-testid="bar-table"] tbody tr');
  return new Map(await rows.evaluateAll((nodes) => nodes.map((node) => [
    Number(node.dataset.start), Number(node.children[4].textContent.replaceAll(',', '')),
  ])));
}
