/* One process for all: each run removes what killed runs have left, and so would tests of another process. */
import './kills.ts';
import './containers.ts';
