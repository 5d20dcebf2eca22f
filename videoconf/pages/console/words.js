// Every text of the console. A translation is one more folder like words/.

import { meetings } from "./words/meetings.js";
import { operations } from "./words/operations.js";
import { page } from "./words/page.js";

export const words = { ...page, ...meetings, ...operations };
