/** Data that a page carries for its script, as JSON. Numbers that are not finite are null there. */
export interface PageData {
  readonly kind: 'images' | 'pairs' | 'health';
  /** Names of the classes that occur, by id; null where no vocabulary was found. */
  readonly objectNames: Readonly<Record<string, string>> | null;
  readonly attributeNames: Readonly<Record<string, string>> | null;
  /** Norms at the two ends of the colour scale. */
  readonly normScale: readonly [number, number];
}
