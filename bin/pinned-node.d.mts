export interface Platform {
  readonly name: string;
  readonly musl: boolean;
  readonly debian: boolean;
}
export const NODE_PACKAGES: Readonly<Record<string, string>>;
export const CANNOT_RUN: number;
export function findPinnedNode(parent: string, platform?: Platform): string | undefined;
export function describePlatform(): Platform;
export function explainPlatform(platform?: Platform): string | undefined;
export function explainNode(
  path: string | undefined,
  version: string,
  platform?: Platform,
): string | undefined;
export function pinnedVersion(root: string): string;
