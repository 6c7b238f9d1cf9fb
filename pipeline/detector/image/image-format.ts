import { fileKindOf, KIND_BYTES } from '../../inputs/file-kind.ts';

/** Formats that are decoded, as messages name them. */
export type ImageFormat = 'JPEG' | 'PNG' | 'WebP' | 'TIFF' | 'BMP' | 'GIF';

export const READ_FORMATS = 'JPEG, PNG, WebP, TIFF, BMP or GIF';

/** Larger images are damaged files or attacks; libvips has the same limit. */
export const MAX_PIXELS = 2 ** 28;

const matches =
  (...patterns: readonly RegExp[]) =>
  (head: string): boolean =>
    patterns.some(pattern => pattern.test(head));

/** Brand of a file of the ISO base media format. */
const brand = (...brands: readonly string[]): RegExp => new RegExp(`^[^]{4}ftyp(${brands.join('|')})`);

const READ: readonly (readonly [ImageFormat, (head: string) => boolean])[] = [
  ['JPEG', matches(/^\xff\xd8\xff/)],
  ['PNG', matches(/^\x89PNG\r\n\x1a\n/)],
  ['WebP', matches(/^RIFF[^]{4}WEBP/)],
  ['TIFF', matches(/^II[*+]\0/, /^MM\0[*+]/)],
  ['BMP', matches(/^BM[^]{12}/)],
  ['GIF', matches(/^GIF8[79]a/)],
];

const NOT_READ: readonly (readonly [string, (head: string) => boolean])[] = [
  ['an AVIF image', matches(brand('avif', 'avis'))],
  ['a HEIF image', matches(brand('hei[cfmsx]', 'hev[cmsx]', 'mif1', 'msf1'))],
  ['a JPEG 2000 image', matches(/^\0{3}\x0cjP {2}/, /^\xff\x4f\xff\x51/)],
  ['a JPEG XL image', matches(/^\xff\x0a/, /^\0{3}\x0cJXL /)],
  ['a PNM image (PBM, PGM, PPM or PAM)', matches(/^P[1-7][\s#]/, /^P[Ff]\s/)],
  ['a Photoshop document', matches(/^8BPS/)],
  ['a PDF document', matches(/^%PDF-/)],
  ['a PostScript document', matches(/^%!PS/, /^\xc5\xd0\xd3\xc6/)],
  ['a Windows icon', matches(/^\0\0[\x01\x02]\0[^\0]/)],
  ['an OpenEXR image', matches(/^\x76\x2f\x31\x01/)],
  ['a Radiance HDR image', matches(/^#\?(RADIANCE|RGBE)/)],
  ['an MP4 or QuickTime video', matches(/^[^]{4}ftyp/)],
];

export type ImageKind =
  | { readonly format: ImageFormat }
  | {
      readonly format?: undefined;
      /** With its article: `an SVG drawing`. */
      readonly what: string;
      readonly hint: string;
    };

const CONVERT = 'convert it to PNG or JPEG';
const REPLACE = 'replace the file by the image, or remove it from the folder';

/** Recognises an image by its first bytes, whatever its name is, and gives other files a name. */
export function imageKindOf(bytes: Buffer): ImageKind {
  const head = bytes.toString('latin1', 0, KIND_BYTES);
  const read = READ.find(([, test]) => test(head));
  if (read !== undefined) return { format: read[0] };
  const known = NOT_READ.find(([, test]) => test(head));
  if (known !== undefined) return { what: known[0], hint: CONVERT };
  if (
    /^\s*(\xef\xbb\xbf)?\s*<(\?xml|!doctype svg|!--|svg)[^]*<svg[\s>]|^\s*(\xef\xbb\xbf)?<svg[\s>]/i.test(
      head,
    )
  ) {
    return { what: 'an SVG drawing', hint: CONVERT };
  }
  const other = fileKindOf(bytes);
  if (other !== undefined) return other;
  return { what: `a file of an unknown format (first bytes ${showHex(bytes)})`, hint: REPLACE };
}

function showHex(bytes: Buffer): string {
  return [...bytes.subarray(0, 8)].map(byte => byte.toString(16).padStart(2, '0')).join(' ');
}
