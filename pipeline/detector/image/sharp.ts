import sharp, { type Sharp } from 'sharp';

// One image is decoded at a time in a thread; libvips' own threads and caches would only take from the network.
sharp.concurrency(1);
sharp.cache(false);

export { sharp, type Sharp };
