const HAS_NATIVE = 'setFromBase64' in Uint8Array.prototype;
const ALPHABET = /^[A-Za-z0-9+/]*$/;

/**
 * Decodes base64 without padding into `into`; true if `text` has only characters of the alphabet and gives exactly that many bytes.
 * On false, the content of `into` is undefined. Node.js before 25 lacks the native decoder, which is four times as fast.
 */
export const decodeBase64: (text: string, into: Uint8Array) => boolean = HAS_NATIVE
  ? decodeNatively
  : decodeWithBuffer;

function decodeNatively(text: string, into: Uint8Array): boolean {
  try {
    const { read, written } = into.setFromBase64(text, { lastChunkHandling: 'strict' });
    // White space is skipped and so gives fewer bytes.
    return read === text.length && written === into.length;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** The same with what every Node.js has. Buffer skips what it does not know, so the alphabet is checked first. */
export function decodeWithBuffer(text: string, into: Uint8Array): boolean {
  if (!ALPHABET.test(text) || text.length % 4 === 1) return false;
  if (Math.floor((text.length * 3) / 4) !== into.length) return false;
  return Buffer.from(into.buffer, into.byteOffset, into.length).write(text, 'base64') === into.length;
}
