"""What English-speaking customers and sales people of the sample say; laid out as in `templates_th`."""

from __future__ import annotations

from bn_aura_pipelines.sources.sample.templates_th import Sentences

CONCERNS: dict[str, tuple[Sentences, Sentences, Sentences]] = {
    "price": (
        (
            ("{p} baht for {t} felt overpriced", "Too expensive, not worth the money"),
            ("I regret paying {p} for this",),
        ),
        (
            ("How much is {t}?", "Does {p} include everything?"),
            ("Can I pay for {t} in instalments?",),
        ),
        (
            ("Great value, {p} baht is a bargain", "The price was better than I expected"),
            ("Worth every baht of the {p} I paid",),
        ),
    ),
    "pain": (
        (
            ("{t} hurt a lot, even with the numbing cream", "It was so painful, never again"),
            ("I was sore all night, really unpleasant",),
        ),
        (
            ("Is {t} painful?", "How long does the numbing cream take?"),
            ("Will it ache afterwards?",),
        ),
        (
            ("No pain at all, the doctor is very gentle", "{t} was much more comfortable than I feared"),
            ("I hardly felt a thing, amazing",),
        ),
    ),
    "results": (
        (
            ("I see no difference after {t}", "My skin looks the same, very disappointed"),
            ("{t} made it worse, I am upset",),
        ),
        (
            ("When will I see results from {t}?", "How many sessions do I need?"),
            ("How long does the effect of {t} last?",),
        ),
        (
            ("Love the result, everyone noticed", "My skin looks so much better after {t}"),
            ("Clearly visible result, I am thrilled",),
        ),
    ),
    "queue": (
        (
            ("I waited over an hour past my appointment", "Terrible queue, wasted my afternoon"),
            ("Had a booking and still had to wait forever",),
        ),
        (
            ("Any slot free tomorrow at {b}?", "Can I move my appointment to the evening?"),
            ("What are your opening hours at {b}?",),
        ),
        (
            ("Straight in without waiting, perfect", "Booking was easy and right on time"),
            ("Super punctual, thank you",),
        ),
    ),
    "service": (
        (
            ("The staff were rude to me", "Nobody answers my messages, awful service"),
            ("The doctor rushed and explained nothing",),
        ),
        (
            ("Can I see the same doctor again?", "Is there parking at {b}?"),
            ("Could you send me the receipt again?",),
        ),
        (
            ("Everyone was so kind and attentive", "The doctor explained everything, very impressed"),
            ("Wonderful service as always",),
        ),
    ),
    "downtime": (
        (
            ("My face was swollen for days", "The bruises lasted forever, nobody warned me"),
            ("Still red a week after {t}, not happy",),
        ),
        (
            ("How many days of downtime after {t}?", "When can I wear make-up again?"),
            ("Can I go in the sun after {t}?",),
        ),
        (
            ("No swelling, back to work the next day", "{t} needed no recovery time, so convenient"),
            ("Healed really fast, lovely",),
        ),
    ),
    "safety": (
        (
            ("I got a rash after {t}, I do not feel safe", "They did not show me the box, is it genuine?"),
            ("Nobody asked about allergies, that is scary",),
        ),
        (
            ("Is {t} safe for sensitive skin?", "Which brand do you use for {t}?"),
            ("Can I do {t} while breastfeeding?",),
        ),
        (
            ("They opened the box in front of me, full trust", "Very clean and safe, I feel in good hands"),
            ("Careful check of my history, reassuring",),
        ),
    ),
    "promotion": (
        (
            ("The promotion was not what you advertised", "Stop pushing packages on me, annoying"),
            ("Misleading offer, I am not pleased",),
        ),
        (
            ("Any promotion on {t} this month?", "Until when is the 11.11 deal?"),
            ("Is five plus one still available?",),
        ),
        (
            ("The five plus one deal is fantastic", "Great discount, I told my friends"),
            ("Love this offer, booking {t} now",),
        ),
    ),
}

ENQUIRIES: dict[str, tuple[Sentences, Sentences]] = {
    "price": (
        (("{p} baht is over my budget",), ("Other clinics are much cheaper, no thanks",)),
        (("{p} is fine, I want to book",), ("Cheaper than I feared, count me in",)),
    ),
    "pain": (
        (("I heard {t} is very painful, I would rather not",), ("Too scared of the pain, sorry",)),
        (("The reviews say it does not hurt, I am relieved",), ("Good to know it is gentle, I want to try",)),
    ),
    "results": (
        (("The reviews of {t} do not convince me",), ("Your before and after photos look edited",)),
        (("The reviews look great, I want the same",), ("My friend looks amazing after {t}, I am in",)),
    ),
    "queue": (
        (("Next month is too late for me",), ("Booking is too complicated, forget it",)),
        (("A slot tomorrow is perfect",), ("So easy to get a slot, great",)),
    ),
    "service": (
        (("I wrote several times and nobody answered",), ("Slow and unhelpful replies",)),
        (("Thanks for the quick and detailed answer",), ("Very friendly, I look forward to coming",)),
    ),
    "downtime": (
        (("I cannot hide at home for a week",), ("Too much recovery time for my job",)),
        (("No downtime is perfect for me",), ("I can do it at lunch, love it",)),
    ),
    "safety": (
        (("I read about fake products, I am worried",), ("It does not look trustworthy to me",)),
        (("Certified products, that convinces me",), ("A licensed doctor makes me feel safe",)),
    ),
    "promotion": (
        (("Too many conditions on that offer",), ("That discount is not real",)),
        (("Great offer, please reserve it for me",), ("I was waiting for this deal",)),
    ),
}

OPENERS_CUSTOMER: tuple[str, ...] = (
    "Hi, I am interested in {t}",
    "Hello, I saw your ad for {t}",
    "Hi, I would like some advice about my skin",
)
OPENERS_BEFORE: tuple[str, ...] = ("Hi, I have an appointment for {t}", "Hello, a question before my {t}")
OPENERS_SALES: tuple[str, ...] = (
    "Hello {n}, how are you after your {t}?",
    "Hi {n}, this is Aura Clinic {b}, how was your visit?",
)
IDENTITY: tuple[str, ...] = ("My name is {f}, phone {c}", "It is booked under {f}, call me on {c}")
REPLIES: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = (
    (
        "We are very sorry, {n}. Our manager will call you.",
        "Apologies {n}, let us arrange a free check with the doctor.",
    ),
    ("{t} starts at {p} baht, {n}. Which day suits you?", "Sure {n}, let me check for you."),
    ("Thank you so much, {n}!", "So glad to hear that, {n}. See you next time."),
)
CLOSINGS: tuple[str, ...] = (
    "Feel free to ask anything else.",
    "I will confirm your slot shortly.",
    "Thank you for your trust.",
)
ADVICE: tuple[str, ...] = (
    "Offer the five plus one package and follow up within 7 days.",
    "Listen to the complaint before offering anything else.",
)
LATER: tuple[str, ...] = ("Sorry for the late reply, still interested", "One more question about {t}")
LATER_REPLIES: tuple[str, ...] = ("Of course {n}, when would suit you?", "Let me check and come back to you.")
