"""What is not about figures: help, small talk, actions we do not take, questions about something else."""

from __future__ import annotations

from assistant.desk import Desk
from assistant.query import Draft, Query
from assistant.wording import talk as words


async def help_(query: Query, desk: Desk) -> Draft:
    """What can be asked here, with examples from this fleet."""
    return Draft(words.help_text(desk, query.language), suggestions=words.examples(desk, query.language))


async def smalltalk(query: Query, desk: Desk) -> Draft:
    """A short reply that leads back to the servers."""
    return Draft(words.smalltalk(query.language), suggestions=words.examples(desk, query.language))


async def action(query: Query, desk: Desk) -> Draft:
    """An order to change something: the product only reads."""
    return Draft(words.read_only(query.language), "out_of_scope", suggestions=words.examples(desk, query.language))


async def elsewhere(query: Query, desk: Desk) -> Draft:
    """A question about something else than these servers."""
    return Draft(words.out_of_scope(query.language), "out_of_scope", suggestions=words.examples(desk, query.language))


async def unclear(query: Query, desk: Desk) -> Draft:
    """Not understood: says so and offers what can be asked."""
    return Draft(words.unclear(query.text, query.language), "clarify", suggestions=words.examples(desk, query.language))


def clarify_time(query: Query) -> Draft:
    """A time that was not understood is asked back; silently answering for now would be the worst answer."""
    return Draft(words.unread_time(query.unread[0], query.language), "clarify")


async def not_yet(query: Query, desk: Desk) -> Draft:
    """Understood, but this installation has no material for it."""
    return Draft(words.no_runbook(query.language), "no_data", suggestions=words.examples(desk, query.language))
