"""Every permission that an operation may ask for, as tokens name it and in the order of the documentation."""

from enum import StrEnum


class Permission(StrEnum):
    """What the permissions claim of a bearer token may list. An unknown name in a token grants nothing."""

    CREATE_MEETING_SESSION = "CreateMeetingSession"
    GET_MEETINGS = "GetMeetings"
    EDIT_MEETING = "EditMeeting"
    STOP_MEETING = "StopMeeting"
    DELETE_MEETING = "DeleteMeeting"
    GENERATE_MEETING_TOKEN = "GenerateMeetingToken"  # noqa: S105  # a permission's name
    GET_MEETING_ATTENDEES = "GetMeetingAttendees"
    MODERATE_MEETING = "ModerateMeeting"
    GET_AUDIT_ENTRIES = "GetAuditEntries"
    GET_MEETING_ARCHIVES = "GetMeetingArchives"
    DELETE_MEETING_ARCHIVE = "DeleteMeetingArchive"
    LIFT_LEGAL_HOLD = "LiftLegalHold"
    START_MEETING_ARCHIVE = "StartMeetingArchive"
    STOP_MEETING_ARCHIVE = "StopMeetingArchive"
    SET_MEETING_UPLOAD_TARGET = "SetMeetingUploadTarget"
    GET_PROVIDERS = "GetProviders"
    GET_EVENTS = "GetEvents"
    MANAGE_EVENT_SUBSCRIPTIONS = "ManageEventSubscriptions"
    GET_WEBHOOK_EVENTS = "GetWebhookEvents"
    MANAGE_OPERATIONS = "ManageOperations"
    MANAGE_PERSONS = "ManagePersons"
