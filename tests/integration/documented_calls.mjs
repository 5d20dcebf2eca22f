// Makes the documented calls as the documentation writes them: with fetch, its methods, paths and headers. Placeholders
// ({}, "string", dates of 2019) stand for valid values. Prints the operations that answered as documented.
//
// BASE_URL        the service
// TOKENS          JSON: for each permission a bearer token that carries it and no other; absent: authentication is off
// WEBHOOK_SECRET  what the provider signs its webhooks with
// TARGET          JSON: a storage target that works

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";

const { BASE_URL, TOKENS, WEBHOOK_SECRET, TARGET } = process.env;
const tokens = TOKENS === undefined ? null : JSON.parse(TOKENS);
const answered = [];

async function call(operation, permission, path, options, status) {
  const headers = { ...options.headers };
  if (tokens !== null && permission !== null) {
    headers["Authorization"] = `Bearer ${tokens[permission]}`;
  }
  const res = await fetch(`${BASE_URL}${path}`, { ...options, headers });
  assert.equal(res.status, status, `${operation}: ${res.status} ${res.status === status ? "" : await res.text()}`);
  answered.push(operation);
  return res;
}

async function callForNothing(...args) {
  const res = await call(...args, 204);
  assert.equal(await res.text(), "");
}

// The body that the documentation sends to PATCH /session/{meetingLinkId}, its placeholders replaced.
function editedMeeting(link, sessionId) {
  const now = new Date().toISOString();
  return {
    deleted: true,
    deletedOn: now,
    deletedBy: "string",
    createdOn: now,
    modifiedOn: now,
    createdBy: "string",
    modifiedBy: "string",
    id: 0,
    sessionId,
    meetingLink: link,
    isScheduled: true,
    scheduleTime: new Date(Date.now() + 60_000).toISOString(),
    isArchived: true,
    archiveId: "string",
    uploadTarget: "string",
    startTime: now,
    endTime: now,
    extId: "string",
    extMetadata: {},
  };
}

// What the provider adds to the documented headers to prove where a webhook comes from (Standard Webhooks).
function signature(id, body) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const key = Buffer.from(WEBHOOK_SECRET.slice("whsec_".length), "base64");
  const digest = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${digest}` };
}

let res = await call(
  "getMeetingLink",
  "CreateMeetingSession",
  "/session",
  {
    method: "POST",
    body: JSON.stringify({}),
    headers: { "Content-Type": "application/json", Accept: "text/plain" },
  },
  200,
);
assert.match(res.headers.get("content-type"), /^text\/plain\b/);
const link = await res.json();
assert.match(link, /^[\w-]{22,}$/);

res = await call(
  "getMeetingToken",
  "GenerateMeetingToken",
  `/session/${link}/token`,
  {
    method: "POST",
    body: JSON.stringify({}),
    headers: { "Content-Type": "application/json", Accept: "application/json" },
  },
  200,
);
assert.match(res.headers.get("content-type"), /^application\/json\b/);
const { sessionId, token } = await res.json();
assert.ok(sessionId.length > 0 && token.length > 0);

const at = new Date().toISOString();

async function tell(type, members) {
  const id = randomUUID();
  const body = JSON.stringify({ id, type, session: sessionId, at, ...members });
  await callForNothing("checkWebhookPayload", null, "/webhooks/session", {
    method: "POST",
    body,
    headers: { "Content-Type": "application/json", ...signature(id, body) },
  });
}

await tell("connection.created", { connection: { id: "connection-1", created_at: at, attendee: "ann" } });

for (const [query, found] of [
  ["", 1],
  ["?active=true", 1],
  ["?active=false", 0],
]) {
  res = await call(
    "getAttendeesList",
    "GetMeetingAttendees",
    `/session/${link}/attendees${query}`,
    { method: "GET", headers: { Accept: "text/plain" } },
    200,
  );
  const attendees = await res.json();
  assert.ok(Array.isArray(attendees));
  assert.equal(attendees.length, found, query);
}

await callForNothing("editMeeting", "EditMeeting", `/session/${link}`, {
  method: "PATCH",
  body: JSON.stringify(editedMeeting(link, sessionId)),
  headers: { "Content-Type": "application/json" },
});

const archive = { id: "archive-1", status: "available", created_at: at, updated_at: at, duration_seconds: 7 };
await tell("archive.updated", { archive });

res = await call(
  "getArchives",
  "GetMeetingArchives",
  "/archives",
  { method: "GET", headers: { Accept: "application/json" } },
  200,
);
const { count, items } = await res.json();
assert.deepEqual([count, items.map((item) => item.id)], [1, ["archive-1"]]);

res = await call(
  "getArchive",
  "GetMeetingArchives",
  "/archives/archive-1",
  { method: "GET", headers: { Accept: "application/json" } },
  200,
);
const found = await res.json();
assert.deepEqual([found.id, found.sessionId, found.status], ["archive-1", sessionId, "available"]);

res = await call(
  "deleteArchive",
  "DeleteMeetingArchive",
  "/archives/archive-1",
  { method: "DELETE", headers: { Accept: "text/plain" } },
  200,
);
assert.equal(await res.json(), null);

res = await call(
  "setUploadTarget",
  "SetMeetingUploadTarget",
  "/archives/storage-target",
  { method: "PUT", body: TARGET, headers: { "Content-Type": "application/json", Accept: "text/plain" } },
  200,
);
assert.equal(await res.json(), null);

await callForNothing("endSession", "StopMeeting", `/session/${link}/end`, { method: "PATCH" });

console.log(JSON.stringify({ link, answered: [...new Set(answered)] }));
