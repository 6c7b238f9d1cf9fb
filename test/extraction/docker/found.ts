import { findDocker } from '../../helpers/docker-run.ts';

/** Asked once: tests must be declared at one go. */
export const found = await findDocker();
