// A meeting's life by the client that openapi-typescript and openapi-fetch make, without a cast or a suppressed error.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Attendee = components["schemas"]["Attendee"];

const { VIDEOCONF_URL = "", FAKE_URL = "", TOKEN = "" } = process.env;
const api = createClient<paths>({ baseUrl: VIDEOCONF_URL, headers: { Authorization: `Bearer ${TOKEN}` } });

async function act(name: string, body: Record<string, string>): Promise<Record<string, string>> {
  const answer = await fetch(`${FAKE_URL}/fake/${name}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
  return await answer.json();
}

const created = await api.POST("/session", { body: { extId: "lesson-7" } });
if (typeof created.data !== "string") throw new Error(created.error?.detail);
const path = { meetingLinkId: created.data };

const whole = await api.POST("/session", { params: { header: { Prefer: "return=representation" } } });
if (whole.data === undefined || typeof whole.data === "string") throw new Error(whole.error?.detail);
assert.equal(whole.data.status.toUpperCase(), "OPEN");

const issued = await api.POST("/session/{meetingLinkId}/token", {
  params: { path },
  body: { role: "moderator", attendee: "u-7", name: "Ada" },
});
if (issued.data?.token == null) throw new Error(issued.error?.detail);
const { connection = "" } = await act("join", { token: issued.data.token });

const listed = await api.GET("/session/{meetingLinkId}/attendees", { params: { path, query: { active: true } } });
const attendees: Attendee[] = listed.data ?? [];
assert.deepEqual(attendees.map((one) => [one.name, one.connections[0]?.id]), [["Ada", connection]]);

const started = await api.POST("/session/{meetingLinkId}/archives", { params: { path }, body: { name: "Visit 7" } });
if (started.data === undefined) throw new Error(started.error?.detail);
const archive = { archiveId: started.data.id };
await api.POST("/archives/{archiveId}/stop", { params: { path: archive } });
let status = started.data.status;
for (let tries = 0; status !== "available" && tries < 100; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  const read = await api.GET("/archives/{archiveId}", { params: { path: archive } });
  status = read.data?.status ?? status;
}
const download = await api.GET("/archives/{archiveId}/download", { params: { path: archive } });
if (download.data === undefined) throw new Error(download.error?.detail);
assert.equal((await fetch(download.data.url)).status, 200);

const edited = await api.PATCH("/session/{meetingLinkId}", { params: { path }, body: { extId: "lesson-8" } });
assert.equal(edited.response.status, 204);
const refused = await api.PATCH("/session/{meetingLinkId}", { params: { path }, body: { status: "ended" } });
assert.equal(refused.error?.code, "read_only");

const early = await api.POST("/session", { body: { isScheduled: true, scheduleTime: "2100-01-31T09:30:00Z" } });
if (typeof early.data !== "string") throw new Error(early.error?.detail);
const closed = await api.POST("/session/{meetingLinkId}/token", { params: { path: { meetingLinkId: early.data } } });
assert.equal(closed.error?.code, "meeting_not_open");
assert.equal(closed.error?.opensOn?.slice(0, 4), "2100");

assert.equal((await api.PATCH("/session/{meetingLinkId}/end", { params: { path } })).response.status, 204);
const twice = await api.PATCH("/session/{meetingLinkId}/end", { params: { path } });
assert.equal(twice.error?.code, "meeting_ended");
const meeting = await api.GET("/session/{meetingLinkId}", { params: { path } });
console.log(JSON.stringify({ status: meeting.data?.status, extId: meeting.data?.extId }));
