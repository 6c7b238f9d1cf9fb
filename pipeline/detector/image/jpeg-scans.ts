const SOS = 0xda;
const EOI = 0xd9;
const STUFFED = 0x00;
const [FIRST_RST, LAST_RST] = [0xd0, 0xd7];
const TEM = 0x01;
/** Start of frame: 0xc0 to 0xcf but for tables (DHT, JPG, DAC). */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
const isProgressive = (marker: number): boolean => isFrame(marker) && (marker & 3) === 2;
const COEFFICIENTS = 64;
/** No scan has brought any bit yet. */
const MISSING = 255;

export interface JpegScans {
  /** Whether the marker of the end (EOI, FF D9) is there. */
  readonly hasEnd: boolean;
  /** Whether scans bring every bit of every coefficient of every component; not whether each scan is whole. */
  readonly isComplete: boolean;
  /** Where the coded data of each scan ends. */
  readonly scanEnds: readonly number[];
}

/**
 * Walks through the markers of a JPEG. Decoders take a progressive JPEG of which whole scans are missing without a
 * word, so what scans bring is counted here.
 */
export function findScans(jpeg: Buffer): JpegScans {
  /** For each component id: the lowest bit that has come, for each coefficient. */
  const components = new Map<number, Uint8Array>();
  let position = 2;
  let hasEnd = false;
  let progressive = false;
  let isInScan = false;
  const scanEnds: number[] = [];
  for (;;) {
    position = findMarker(jpeg, position);
    if (isInScan) scanEnds.push(Math.min(position - 2, jpeg.length));
    isInScan = false;
    const marker = jpeg[position - 1];
    if (marker === undefined || position > jpeg.length) break;
    if (marker === EOI) {
      hasEnd = true;
      break;
    }
    if (position + 2 > jpeg.length) break;
    const end = position + Math.max(2, jpeg.readUInt16BE(position));
    const body = jpeg.subarray(position + 2, end);
    if (isFrame(marker)) {
      progressive = isProgressive(marker);
      addComponents(components, body);
    } else if (marker === SOS) {
      addScan(components, body, progressive);
      isInScan = true;
    }
    position = end;
  }
  const isComplete =
    components.size > 0 && [...components.values()].every(bits => bits.every(bit => bit === 0));
  return { hasEnd, isComplete, scanEnds };
}

/** Position after the next marker outside coded data; past the end if there is no such marker. */
function findMarker(jpeg: Buffer, from: number): number {
  for (let at = jpeg.indexOf(0xff, from); at !== -1; at = jpeg.indexOf(0xff, at + 1)) {
    const marker = jpeg[at + 1];
    if (marker === undefined) break;
    const isCoded = marker === STUFFED || marker === TEM || (marker >= FIRST_RST && marker <= LAST_RST);
    // FF FF: a fill byte.
    if (!isCoded && marker !== 0xff) return at + 2;
  }
  return jpeg.length + 1;
}

function addComponents(components: Map<number, Uint8Array>, frame: Buffer): void {
  const count = frame[5] ?? 0;
  for (let i = 0; i < count; i += 1) {
    const id = frame[6 + 3 * i];
    if (id !== undefined) components.set(id, new Uint8Array(COEFFICIENTS).fill(MISSING));
  }
}

function addScan(components: ReadonlyMap<number, Uint8Array>, scan: Buffer, progressive: boolean): void {
  const count = scan[0] ?? 0;
  const parameters = 1 + 2 * count;
  // Decoders ignore these in other kinds of JPEG, and some encoders write nonsense there.
  const stored = progressive ? scan.subarray(parameters, parameters + 3) : [0, COEFFICIENTS - 1, 0];
  const [first = 0, last = 0, bits = 0] = stored;
  for (let i = 0; i < count; i += 1) {
    const component = components.get(scan[1 + 2 * i] ?? -1);
    component?.fill(bits & 15, first, last + 1);
  }
}
