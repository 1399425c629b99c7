"""From words to a `Query`: what is asked, of which servers, which concept, which time. Pure and deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.query import Query, Question
from assistant.understanding.decide import decide
from assistant.understanding.slots import Vocabulary, read_slots
from engines.matching import ServerIndex
from monitoring.catalog import Catalog
from monitoring.inventory import Inventory

if TYPE_CHECKING:
    from engines.intents import IntentClassifier


class Understanding:
    """Reads questions. The classifier may come later (`warm`); until then patterns and slots decide alone."""

    def __init__(self, catalog: Catalog) -> None:
        self._vocabulary = Vocabulary(catalog)
        self._classifier: IntentClassifier | None = None
        self._index: tuple[Inventory, ServerIndex] | None = None

    @property
    def backend(self) -> str:
        """What takes part: `patterns`, and `tfidf` once the model is warm."""
        return "patterns+tfidf" if self._classifier else "patterns"

    def warm(self) -> None:
        """Trains the classifier (about a second; call it in a thread)."""
        from engines.intents import IntentClassifier

        self._classifier = IntentClassifier.load()

    def read(self, question: Question, inventory: Inventory) -> Query:
        """The query that a question asks, before the conversation is taken into account."""
        slots = read_slots(question, inventory, self._names(inventory), self._vocabulary)
        scores = self._classifier.classify(question.text) if self._classifier else []
        return decide(question, slots, [(s.intent, s.probability) for s in scores], inventory)

    def _names(self, inventory: Inventory) -> ServerIndex:
        if self._index is None or self._index[0] is not inventory:
            aliases = {s.id: _aliases(s.addresses) for s in inventory.servers.values()}
            self._index = inventory, ServerIndex(inventory.servers, aliases)
        return self._index[1]


def _aliases(addresses: set[str]) -> list[str]:
    return sorted(address for address in addresses if not address.rpartition(":")[2].isdigit())
