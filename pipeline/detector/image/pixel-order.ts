/** Red, green, blue to blue, green, red, in place. */
export function swapRedAndBlue(pixels: Uint8Array): Uint8Array {
  for (let i = 0; i < pixels.length; i += 3) {
    const red = pixels[i]!;
    pixels[i] = pixels[i + 2]!;
    pixels[i + 2] = red;
  }
  return pixels;
}

export function invert(values: Uint8Array): Uint8Array {
  for (let i = 0; i < values.length; i += 1) values[i] = 255 - values[i]!;
  return values;
}

/** Inverted CMYK (0 is full ink), as JPEGs store it, to blue, green, red, with OpenCV's arithmetic. */
export function convertInvertedCmyk(inks: Uint8Array): Uint8Array {
  const pixels = new Uint8Array((inks.length / 4) * 3);
  for (let i = 0; i < inks.length / 4; i += 1) {
    const black = inks[4 * i + 3]!;
    for (let ink = 0; ink < 3; ink += 1) {
      pixels[3 * i + 2 - ink] = black - (((255 - inks[4 * i + ink]!) * black) >> 8);
    }
  }
  return pixels;
}

const APP14 = 0xee;

/** Whether a JPEG has an Adobe marker before its scan. */
export function hasAdobeMarker(jpeg: Uint8Array): boolean {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.length);
  let position = 2;
  while (position + 9 <= jpeg.length && jpeg[position] === 0xff) {
    const marker = jpeg[position + 1]!;
    const text = Buffer.from(jpeg.subarray(position + 4, position + 9)).toString('latin1');
    if (marker === APP14 && text === 'Adobe') return true;
    // Start of scan: no more markers of this kind.
    if (marker === 0xda) return false;
    position += 2 + view.getUint16(position + 2);
  }
  return false;
}
