// How many people are at each of some meetings at this moment. Only open meetings can have any.

import { get } from "./api.js";

const AT_ONCE = 100;

/** Count the people of meetings, as a map by their links. Where it cannot be read, what was known stays. */
export async function peopleNow(meetings, signal, known) {
  const links = meetings.filter((meeting) => meeting.status === "open").map((meeting) => meeting.meetingLink);
  const found = new Map();
  for (let start = 0; start < links.length; start += AT_ONCE) {
    const meetingLinks = links.slice(start, start + AT_ONCE).join(",");
    const answer = await get("/attendance/now", { meetingLinks }, signal).catch((problem) => {
      if (problem.status === undefined) throw problem;
      return null;
    });
    if (answer === null) return known;
    for (const [link, people] of Object.entries(answer.people)) found.set(link, people);
  }
  return found;
}
