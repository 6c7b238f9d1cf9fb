import sharp, { type Sharp } from 'sharp';

// One image is decoded at a time in a thread; libvips' own threads and caches would only take from the network.
sharp.concurrency(1);
sharp.cache(false);

// Images are made by strangers: of libvips' loaders only those of the formats in image-format.ts may run, and the one
// for drawings that this tool makes itself. Files reach none of them before their content was recognised.
const LOADERS = ['Jpeg', 'Png', 'Webp', 'Tiff', 'Nsgif'];
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    ...LOADERS.flatMap(name => [`VipsForeignLoad${name}Buffer`, `VipsForeignLoad${name}File`]),
    'VipsForeignLoadSvgBuffer',
  ],
});

export { sharp, type Sharp };
