"""The command ``completion``: writes a script that completes our commands in a shell."""
