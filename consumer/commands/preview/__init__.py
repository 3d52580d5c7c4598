"""The command ``preview``: shows how records would be read, before anything is sent.

Joins no group, commits nothing, calls no API and needs no credentials of it. Ids of persons are
shown only if they are asked for.
"""
