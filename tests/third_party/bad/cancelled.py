from asyncio import CancelledError

raise CancelledError
