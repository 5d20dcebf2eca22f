"""The settings that the tests run the service with, and the permissions that there are."""

JWT_SECRET = "tests-sign-bearer-tokens-with-this-secret"
BACKENDS = {"janus": "janus", "livekit-standin": "livekit"}
"""In place of a preset of the fake: a real Janus, and LiveKit's stand-in; by preset, the key of the provider.

``presets.py`` has a fixture for each. The fake has a preset ``livekit`` of its own.
"""
FAKE_SETTINGS = {
    "VIDEOCONF_FAKE_WEBHOOK_SECRETS": "whsec_dGVzdHMtc2lnbi13ZWJob29rcy13aXRoLXRoaXM=",
    "VIDEOCONF_FAKE_TOKEN_SECRET": "tests-sign-join-tokens-with-this-secret",
}

ALL_PERMISSIONS = (
    "CreateMeetingSession",
    "GetMeetings",
    "EditMeeting",
    "StopMeeting",
    "DeleteMeeting",
    "GenerateMeetingToken",
    "GetMeetingAttendees",
    "ModerateMeeting",
    "GetAuditEntries",
    "GetMeetingArchives",
    "DeleteMeetingArchive",
    "LiftLegalHold",
    "StartMeetingArchive",
    "StopMeetingArchive",
    "SetMeetingUploadTarget",
    "GetProviders",
    "GetEvents",
    "ManageEventSubscriptions",
    "GetWebhookEvents",
    "ManageOperations",
    "ManagePersons",
)
