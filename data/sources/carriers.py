"""Sentences that carry a term, each in the one split where its own words may be heard."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.ledger import Heard
from data.sources.base import clean_text
from data.sources.spoken_texts import LONGEST_TEXT
from data.split_hash import hash_position, hash_split, split_at, text_key
from voiceforge.errors import UsageError
from voiceforge.params import SplitParams

PLACE = "{term}"
_SHORTEST_SENTENCE = 4
"""Words, from which on a text of a domain can lose one to a term and still be a sentence."""
_SHORTEST_WORD = 4
"""Letters of the word that a term replaces: articles and prepositions stay."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """A sentence with `PLACE` where the term stands.

    Attributes:
        split: where it may be heard, with whatever term. One made from a text is where that text
            itself would be by its hash; the built-in ones are shared out.
    """

    text: str
    split: Heard

    def with_term(self, term: str) -> str:
        """The sentence with a term; it begins with a capital where the carrier did."""
        return self.text.replace(PLACE, term)


def carriers(language: str, texts: Sequence[str], splits: SplitParams) -> list[Carrier]:
    """Built-in carriers of a language and those that a domain's own texts make, each once.

    Args:
        texts: sentences of the domain. A `{term}` in one says where terms go; in others a term
            replaces the longest word. Texts too short or too long for it are passed over.

    Raises:
        UsageError: nothing is built in for the language and the texts make no carrier, or one of
            the three splits gets none.
    """
    found: dict[str, Carrier] = {}
    built_in = BUILT_IN.get(language, ())
    for text, split in [
        *_shared_out(built_in, splits),
        *((text, hash_split(_key(text), splits)) for text in texts),
    ]:
        carrier = _carrier(clean_text(text))
        if carrier is not None:
            found.setdefault(text_key(carrier), Carrier(carrier, split))
    missing = [s for s in ("train", "dev", "test") if s not in {c.split for c in found.values()}]
    if missing:
        raise UsageError(
            f"The {len(found)} sentences that could carry terms in {language!r} leave none for "
            f"{' and '.join(missing)}. Name more in `texts` of the source of the kind terms, a "
            f"text file with a sentence a line (built in are: {', '.join(sorted(BUILT_IN))})."
        )
    return list(found.values())


def _shared_out(texts: Sequence[str], splits: SplitParams) -> list[tuple[str, Heard]]:
    """The shares laid over the texts in the order of their hashes: few texts, and none empty."""
    ordered = sorted(texts, key=lambda text: hash_position(_key(text), splits))
    return [
        (text, split_at((place + 0.5) / len(ordered), splits)) for place, text in enumerate(ordered)
    ]


def _key(text: str) -> str:
    return text_key(text.replace(PLACE, " "))


def _carrier(text: str) -> str | None:
    words = text.split()
    if PLACE in text:
        return text if text.count(PLACE) == 1 and len(words) <= LONGEST_TEXT else None
    if not _SHORTEST_SENTENCE <= len(words) <= LONGEST_TEXT:
        return None
    # The last of the longest: the first word of a sentence is rarely its object.
    bare = [re.sub(r"^\W+|\W+$", "", word) for word in words]
    longest = max(range(len(words)), key=lambda at: (len(bare[at]), at))
    if len(bare[longest]) < _SHORTEST_WORD:
        return None
    words[longest] = words[longest].replace(bare[longest], PLACE)
    return " ".join(words)


BUILT_IN: dict[str, tuple[str, ...]] = {
    "en": (
        "I would like to order {term} for next week.",
        "Can you tell me more about {term}?",
        "The customer asked whether {term} is available.",
        "We moved all of our accounts to {term} last month.",
        "Please send the invoice for {term} to my office.",
        "How much does {term} cost per month?",
        "My question is about {term}, not about the other one.",
        "They have been using {term} for three years now.",
        "Is there a discount on {term} at the moment?",
        "I am calling because {term} stopped working this morning.",
        "Our team has decided to replace it with {term}.",
        "{term} was the first thing that came to my mind.",
        "Could you spell the name of {term} for me?",
        "The new version of {term} comes out in the spring.",
        "She said that {term} was easier to install.",
        "Thank you for your interest in {term}.",
        "I have never heard of {term} before.",
        "The doctor gave me {term} twice a day.",
        "You will find {term} on the second page.",
        "Let me connect you with somebody who knows {term}.",
        "Without {term} we would have lost the whole afternoon.",
        "The delivery from {term} has not arrived yet.",
        "He works for {term} in the sales department.",
        "Remove {term} from my list, please.",
        "We compared {term} with two other products.",
        "{term} is out of stock until Friday.",
        "What is the difference between {term} and the old model?",
        "I read about {term} in the newspaper today.",
        "The meeting with {term} starts at nine.",
        "Press one to hear more about {term}.",
        "My order number for {term} is on the receipt.",
        "Does the warranty cover {term} as well?",
        "A friend of mine recommended {term} to me.",
        "The manual for {term} is missing.",
        "Please restart {term} and try it again.",
        "Nobody here knows how {term} should be pronounced.",
    ),
    "de": (
        "Ich möchte {term} für nächste Woche bestellen.",
        "Können Sie mir mehr über {term} sagen?",
        "Wie viel kostet {term} im Monat?",
        "Der Kunde fragt, ob es {term} noch gibt.",
        "Seit gestern funktioniert {term} nicht mehr.",
        "Bitte schicken Sie mir die Rechnung für {term}.",
        "Wir benutzen {term} seit drei Jahren.",
        "Von {term} habe ich noch nie gehört.",
        "Die neue Fassung von {term} kommt im Frühling.",
        "Sie finden {term} auf der zweiten Seite.",
        "{term} ist bis Freitag nicht lieferbar.",
        "Ein Freund hat mir {term} empfohlen.",
        "Danke für Ihr Interesse an {term}.",
        "Die Lieferung von {term} ist noch nicht da.",
        "Starten Sie {term} bitte noch einmal.",
        "Was ist der Unterschied zwischen {term} und dem alten Modell?",
    ),
    "es": (
        "Quisiera pedir {term} para la próxima semana.",
        "¿Me puede decir algo más sobre {term}?",
        "¿Cuánto cuesta {term} al mes?",
        "El cliente pregunta si todavía hay {term}.",
        "Desde ayer {term} no funciona.",
        "Por favor, envíeme la factura de {term}.",
        "Usamos {term} desde hace tres años.",
        "Nunca había oído hablar de {term}.",
        "La nueva versión de {term} sale en primavera.",
        "Encontrará {term} en la segunda página.",
        "{term} está agotado hasta el viernes.",
        "Un amigo me recomendó {term}.",
        "Gracias por su interés en {term}.",
        "El pedido de {term} no ha llegado todavía.",
        "Por favor, reinicie {term} otra vez.",
        "¿Qué diferencia hay entre {term} y el modelo antiguo?",
    ),
    "fr": (
        "Je voudrais commander {term} pour la semaine prochaine.",
        "Pouvez-vous m'en dire plus sur {term} ?",
        "Combien coûte {term} par mois ?",
        "Le client demande si {term} existe encore.",
        "Depuis hier {term} ne fonctionne plus.",
        "Envoyez-moi la facture pour {term}, s'il vous plaît.",
        "Nous utilisons {term} depuis trois ans.",
        "Je n'avais jamais entendu parler de {term}.",
        "La nouvelle version de {term} sort au printemps.",
        "Vous trouverez {term} à la deuxième page.",
        "{term} est en rupture de stock jusqu'à vendredi.",
        "Un ami m'a recommandé {term}.",
        "Merci de votre intérêt pour {term}.",
        "La livraison de {term} n'est pas encore arrivée.",
        "Redémarrez {term} encore une fois.",
        "Quelle est la différence entre {term} et l'ancien modèle ?",
    ),
    "it": (
        "Vorrei ordinare {term} per la prossima settimana.",
        "Mi può dire qualcosa di più su {term}?",
        "Quanto costa {term} al mese?",
        "Il cliente chiede se {term} è ancora disponibile.",
        "Da ieri {term} non funziona più.",
        "Per favore mi mandi la fattura di {term}.",
        "Usiamo {term} da tre anni.",
        "Non avevo mai sentito parlare di {term}.",
        "La nuova versione di {term} esce in primavera.",
        "Troverà {term} alla seconda pagina.",
        "{term} è esaurito fino a venerdì.",
        "Un amico mi ha consigliato {term}.",
        "Grazie per il suo interesse per {term}.",
        "La consegna di {term} non è ancora arrivata.",
        "Riavvii {term} ancora una volta.",
        "Che differenza c'è tra {term} e il vecchio modello?",
    ),
    "ru": (
        "Я хочу заказать {term} на следующую неделю.",
        "Расскажите мне больше о продукте {term}.",
        "Сколько стоит {term} в месяц?",
        "Клиент спрашивает, есть ли ещё {term}.",
        "Со вчерашнего дня {term} не работает.",
        "Пришлите мне, пожалуйста, счёт за {term}.",
        "Мы используем {term} уже три года.",
        "Я никогда не слышал про {term}.",
        "Новая версия {term} выйдет весной.",
        "Вы найдёте {term} на второй странице.",
        "{term} появится на складе только в пятницу.",
        "Друг посоветовал мне {term}.",
        "Спасибо за интерес к продукту {term}.",
        "Заказ на {term} ещё не пришёл.",
        "Перезапустите {term} ещё раз.",
        "Чем отличается {term} от старой модели?",
    ),
}
"""Language -> carriers. Terms stand where a name needs no article and no ending of its own."""
