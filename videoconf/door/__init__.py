"""How people come in: invitations, the door that exchanges a code for a token, the lobby, moderators' controls."""
