/** Decimal units, as disk makers and LXMERT's sizes in bytes use them. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return unit === 0 ? `${bytes} bytes` : `${value.toFixed(value < 10 ? 2 : 1)} ${units[unit]!}`;
}

/** Bytes free on a disk; null where the file system does not say. */
export function formatFreeBytes(bytes: number | null): string {
  return bytes === null ? 'an unknown amount' : formatBytes(bytes);
}
