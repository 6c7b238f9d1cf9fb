import { v } from '../schema.ts';

/** Manifest fields that every kind of mirror has; manifests/README.md explains them. */

export const count = v.pipe(v.number(), v.integer(), v.minValue(1));

export const url = v.pipe(
  v.string(),
  v.check(text => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), 'must be an http(s) URL'),
);

export const mirrorFields = {
  title: v.string(),
  base: v.optional(url),
  allow_http: v.optional(v.boolean()),
  max_connections: v.optional(v.pipe(count, v.maxValue(8))),
  experimental: v.optional(v.boolean()),
  dead: v.optional(v.strictObject({ since: v.string(), evidence: v.string() })),
  manual: v.optional(v.string()),
  note: v.optional(v.string()),
};

/** A mirror as far as its kind does not matter; the fields of its kind come with it. */
export type MirrorEntry = v.InferOutput<
  v.LooseObjectSchema<typeof mirrorFields & { provider: v.StringSchema<undefined> }, undefined>
>;
