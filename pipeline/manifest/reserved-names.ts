/** This tool's own files and folders in the data root, which no asset may have as its target. */

/** What the first valid copy of each asset was. */
export const LOCK_NAME = 'lxmert-data.lock.json';
/** Downloads under way, a folder in it for each mirror. */
export const DOWNLOADS = '.downloads';
