"""What is said in `scripts/bench tools`: three sets of 30 requests that need a tool, and 30 that need none.

`first` is what decisions were tuned on. `fresh` and `house` were written before any tuning, by the rules
below, and are only counted. Of each tool there are five requests: an order with its figures in words; a
question; one that goes round about it; one that is corrected within the sentence; one with a please and a
reason. Of the 30 that need none, ten greet or tell of oneself, ten ask what is generally known, and ten are
near misses: they have a word of one of the tools in them, and want nothing of it. `house` has six other
tools, of which no decision has ever seen one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from agent.errors import BackchatError
from agent.tools.calculator import converted, value_of
from agent.tools.clock import _zone
from agent.tools.tool import Tool, tool

Given = dict[str, Any]
Judge = Callable[[Given], bool]


@dataclass(frozen=True)
class Requests:
    """needed: what is said, the tool that it needs, and whether its arguments are right. talk: needs none."""

    needed: Sequence[tuple[str, str, Judge]]
    talk: Sequence[str]


def timer(seconds: int) -> Judge:
    units = {"hours": 3600, "minutes": 60, "seconds": 1}
    return lambda given: sum(float(given.get(name, 0)) * size for name, size in units.items()) == seconds


def comes_to(value: float) -> Judge:
    return lambda given: abs(value_of(str(given["expression"])) - value) < 0.01


def converts(value: float, unit: str, to: str) -> Judge:
    def right(given: Given) -> bool:
        asked = converted(float(given["value"]), str(given["unit"]), str(given["to"]))
        wanted = converted(value, unit, to)
        back = converted(wanted, to, str(given["to"]))
        return abs(asked - back) < 0.001 * max(1.0, abs(back)) and float(given["value"]) == value

    return right


def zone(name: str) -> Judge:
    return lambda given: str(_zone(str(given.get("place", ""))) or "") == name


def day(later: int) -> Judge:
    def right(given: Given) -> bool:
        named = {"today": 0, "tomorrow": 1, "yesterday": -1}
        begin = (str(given.get("day", "")) or "today").lower()
        at = date.today() + timedelta(named[begin]) if begin in named else date.fromisoformat(begin)
        return at + timedelta(int(given.get("days_later", 0))) == date.today() + timedelta(later)

    return right


def says(*words: str) -> Judge:
    return lambda given: all(word in str(given).lower() for word in words)


def gives(**wanted: Any) -> Judge:
    """Whether arguments have these values: a text as a part of theirs, the rest as they are."""

    def right(given: Given) -> bool:
        return all(
            value.lower() in str(given.get(name, "")).lower()
            if isinstance(value, str)
            else given.get(name) == value
            for name, value in wanted.items()
        )

    return right


def judged(right: Judge, given: Given) -> bool:
    """Whether these arguments are right; what cannot be read is not."""
    try:
        return right(given)
    except (BackchatError, ValueError, KeyError, TypeError):
        return False


FIRST = Requests(
    needed=[
        ("Set a timer for ten minutes.", "set_timer", timer(600)),
        ("Set a timer for five minutes. No, ten minutes.", "set_timer", timer(600)),
        ("Wake me in an hour and a half.", "set_timer", timer(5400)),
        ("Please set a timer for ninety seconds.", "set_timer", timer(90)),
        ("Remind me in twenty minutes to call my mother.", "set_timer", timer(1200)),
        ("Start a timer for three minutes for my egg.", "set_timer", timer(180)),
        ("What time is it in Tokyo?", "current_time", zone("Asia/Tokyo")),
        ("What time is it right now?", "current_time", zone("")),
        ("How late is it in New York?", "current_time", zone("America/New_York")),
        ("Tell me the time in London, please.", "current_time", zone("Europe/London")),
        ("What time is it in Paris? No, in Berlin.", "current_time", zone("Europe/Berlin")),
        ("What day is it tomorrow?", "day_of", day(1)),
        ("Which weekday is it in ten days?", "day_of", day(10)),
        ("What was the date yesterday?", "day_of", day(-1)),
        ("What date is it in three weeks?", "day_of", day(21)),
        ("What is seventeen times twenty three?", "calculate", comes_to(391)),
        ("How much is fifteen percent of eighty?", "calculate", comes_to(12)),
        ("Work out the square root of one hundred and forty four.", "calculate", comes_to(12)),
        ("What is two hundred divided by eight?", "calculate", comes_to(25)),
        ("Add forty five and sixty seven.", "calculate", comes_to(112)),
        ("What is nine times nine? No, nine times eight.", "calculate", comes_to(72)),
        ("How many kilometers are five miles?", "convert_units", converts(5, "miles", "km")),
        ("Convert one hundred degrees Fahrenheit to Celsius.", "convert_units", converts(100, "f", "c")),
        ("How many grams are in three pounds?", "convert_units", converts(3, "lb", "g")),
        ("How many liters are ten gallons?", "convert_units", converts(10, "gallons", "l")),
        ("Convert twelve inches to centimeters.", "convert_units", converts(12, "inches", "cm")),
        ("Remember that I am allergic to peanuts.", "remember", says("peanut")),
        ("Please remember that my sister is called Anna.", "remember", says("sister", "ann")),
        ("Note that the bins go out on Thursday.", "remember", says("bin", "thursday")),
        ("Remember that I parked on level four.", "remember", says("park", "level")),
    ],
    talk=[
        "Hello, how are you today?",
        "Tell me a joke.",
        "What is the capital of France?",
        "Why is the sky blue?",
        "I had a long day.",
        "Who wrote Hamlet?",
        "Thank you, that was helpful.",
        "What do you think about cats?",
        "Can you sing?",
        "I am bored. What could I do?",
        "What is your name?",
        "Tell me something about the moon.",
        "How do I boil an egg?",
        "What is a good name for a dog?",
        "I like rainy days.",
        "What makes a good friend?",
        "Do you like music?",
        "Explain what a computer is.",
        "Good morning!",
        "My three children are at school.",
        "What colour is a banana?",
        "Is it hard to learn Spanish?",
        "Tell me a short story about a fox.",
        "I have two brothers and a sister.",
        "What should I cook tonight?",
        "How are rainbows made?",
        "I need a moment.",
        "Who was Albert Einstein?",
        "Nice to meet you.",
        "What is the meaning of life?",
    ],
)

_FRESH_TALK = [
    "Good evening.",
    "I slept badly last night.",
    "You are very kind.",
    "I am so happy about my new job.",
    "How was your weekend?",
    "Sorry, I was talking to my son.",
    "See you later.",
    "I feel a bit lonely today.",
    "My garden looks beautiful this year.",
    "That is a funny thing to say.",
    "Who painted the Mona Lisa?",
    "What do bees make?",
    "Why do leaves fall in autumn?",
    "How does a fridge work?",
    "What is the largest ocean?",
    "Who was the first man on the moon?",
    "What language do people speak in Brazil?",
    "Why do cats purr?",
    "What is bread made of?",
    "Explain what gravity is.",
    "Time flies when you have fun.",
    "I have no time for this today.",
    "I remember my grandmother very well.",
    "What do you remember of your childhood?",
    "My math teacher was very strict.",
    "I walked five miles this morning.",
    "Yesterday was a wonderful day.",
    "I hate my alarm clock.",
    "Who invented the metric system?",
    "I will be back in ten minutes.",
]

FRESH = Requests(
    needed=[
        ("Set a timer for forty five seconds.", "set_timer", timer(45)),
        ("Can you tell me when a quarter of an hour is over?", "set_timer", timer(900)),
        ("The pizza has to come out of the oven in twelve minutes.", "set_timer", timer(720)),
        ("Start a timer for one hour, sorry, for two hours.", "set_timer", timer(7200)),
        (
            "Please give me a shout in thirty minutes, because I have to leave then.",
            "set_timer",
            timer(1800),
        ),
        ("Give me the time in Los Angeles.", "current_time", zone("America/Los_Angeles")),
        ("Do you have the time?", "current_time", zone("")),
        ("I wonder whether it is night in Sydney by now.", "current_time", zone("Australia/Sydney")),
        ("What is the time in Rome, I mean in Madrid?", "current_time", zone("Europe/Madrid")),
        ("Please tell me how late it is, I must not miss my bus.", "current_time", zone("")),
        ("Tell me the date in two weeks.", "day_of", day(14)),
        ("What is today's date?", "day_of", day(0)),
        ("I need to know which weekday we have in five days.", "day_of", day(5)),
        ("What day is it in three, no, in four days?", "day_of", day(4)),
        ("Please tell me what day it was yesterday, I lost track.", "day_of", day(-1)),
        ("Multiply thirty one by twelve.", "calculate", comes_to(372)),
        ("What does six hundred minus two hundred and fifty make?", "calculate", comes_to(350)),
        ("I have to split ninety six dollars between four people.", "calculate", comes_to(24)),
        ("What is eight plus nine, no, eighteen plus nine?", "calculate", comes_to(27)),
        (
            "Please work out twenty percent of fifty, because I want to leave a tip.",
            "calculate",
            comes_to(10),
        ),
        ("Convert seven feet to meters.", "convert_units", converts(7, "feet", "m")),
        ("How many ounces does half a pound have?", "convert_units", converts(0.5, "lb", "oz")),
        (
            "My recipe says four cups, and I only have a measure in milliliters.",
            "convert_units",
            converts(4, "cup", "ml"),
        ),
        (
            "Convert twenty miles, no, thirty miles to kilometers.",
            "convert_units",
            converts(30, "miles", "km"),
        ),
        (
            "Please tell me what ten degrees Celsius are in Fahrenheit, since I travel to Boston.",
            "convert_units",
            converts(10, "c", "f"),
        ),
        ("Remember that my flight leaves from gate seventeen.", "remember", says("gate")),
        ("Could you keep in mind that Tom does not eat meat?", "remember", says("tom", "meat")),
        ("I always forget that my locker has number eight.", "remember", says("locker")),
        ("Remember that my doctor is called Smith, no, Miller.", "remember", says("doctor", "miller")),
        (
            "Please make a note that the key is under the mat, or I will forget it.",
            "remember",
            says("key", "mat"),
        ),
    ],
    talk=_FRESH_TALK,
)

HOUSE = Requests(
    needed=[
        ("Set the lamp in the kitchen to forty percent.", "set_light", gives(room="kitchen", brightness=40)),
        ("Could you turn off the light in the hall?", "set_light", gives(room="hall", brightness=0)),
        ("It is far too dark in the bedroom.", "set_light", gives(room="bedroom")),
        (
            "Switch on the light in the kitchen, no, in the bathroom.",
            "set_light",
            gives(room="bathroom"),
        ),
        ("Please turn off the light in the office, I want to sleep.", "set_light", gives(room="office")),
        ("Give me the weather in Oslo in three days.", "weather", gives(city="oslo", days=3)),
        ("Will it rain in Dublin tomorrow?", "weather", gives(city="dublin", days=1)),
        ("Do I need an umbrella in Hamburg today?", "weather", gives(city="hamburg", days=0)),
        ("How warm is it in Rome, no, in Athens today?", "weather", gives(city="athens", days=0)),
        ("Please tell me the weather in Chicago, I fly there today.", "weather", gives(city="chicago")),
        ("Play two songs by the Beatles.", "play_music", gives(what="beatles")),
        ("Can I hear some jazz?", "play_music", gives(what="jazz")),
        ("I am in the mood for a little Mozart.", "play_music", gives(what="mozart")),
        ("Play some rock, no, some blues.", "play_music", gives(what="blues")),
        ("Please put on some quiet piano music, I have a headache.", "play_music", gives(what="piano")),
        ("Show me four trains from Ely.", "departures", gives(station="ely", count=4)),
        ("When does the next train leave from Cambridge?", "departures", gives(station="cambridge")),
        ("I have to get away from Norwich by train.", "departures", gives(station="norwich")),
        ("When is the next train from Leeds, no, from York?", "departures", gives(station="york")),
        (
            "Please find me a train from Derby, because my car broke down.",
            "departures",
            gives(station="derby"),
        ),
        ("Put six eggs on my shopping list.", "add_to_list", gives(item="egg", amount=6)),
        ("Can you add butter to the shopping list?", "add_to_list", gives(item="butter")),
        ("We have run out of milk, so it has to be bought.", "add_to_list", gives(item="milk")),
        ("Add two, no, three lemons to the list.", "add_to_list", gives(item="lemon", amount=3)),
        ("Please put bread on the list, I have none for tomorrow.", "add_to_list", gives(item="bread")),
        ("Write Anna that I will be ten minutes late.", "send_message", gives(to="anna", text="late")),
        ("Can you tell Peter by message that I said yes?", "send_message", gives(to="peter", text="yes")),
        ("Mark should know that dinner is ready.", "send_message", gives(to="mark", text="dinner")),
        ("Text Lisa, no, text Maria that I am here.", "send_message", gives(to="maria", text="here")),
        (
            "Please send David a message that the meeting is off, he is waiting.",
            "send_message",
            gives(to="david", text="meeting"),
        ),
    ],
    talk=[
        *_FRESH_TALK[:20],
        "I love the light in the evening.",
        "Light is faster than sound.",
        "The weather was lovely on our holiday.",
        "Who was Mozart?",
        "My brother plays the piano.",
        "I missed my train this morning.",
        "What are eggs good for?",
        "My mother makes the best bread.",
        "Anna is my best friend.",
        "I got a nice message from my aunt.",
    ],
)

SETS = {"first": FIRST, "fresh": FRESH, "house": HOUSE}


@tool(effect="changes")
def set_light(room: str, brightness: int = 100) -> str:
    """Switch the light in a room on or off, or dim it.

    room: which one. brightness: in percent; 0 is off.
    """
    return f"The light in the {room} is at {brightness} percent."


@tool(effect="reads")
def weather(city: str, days: int = 0) -> str:
    """The weather in a city, and whether it rains there.

    city: its name. days: from today; 0 is today, 1 is tomorrow.
    """
    return f"In {city} it is dry in {days} days."


@tool(effect="changes")
def play_music(what: str) -> str:
    """Play music.

    what: a song, a singer, a band or a kind of music.
    """
    return f"{what} is playing."


@tool(effect="reads")
def departures(station: str, count: int = 3) -> str:
    """The next trains from a station.

    station: its name. count: how many trains.
    """
    return f"{count} trains go from {station}."


@tool(effect="changes")
def add_to_list(item: str, amount: int = 1) -> str:
    """Put something on the shopping list.

    item: what to buy. amount: how many of it.
    """
    return f"{amount} {item} on the list."


@tool(effect="changes")
def send_message(to: str, text: str) -> str:
    """Send somebody a text message.

    to: who gets it. text: what it says.
    """
    return f"Sent to {to}: {text}"


HOUSE_TOOLS: list[Tool] = [set_light, weather, play_music, departures, add_to_list, send_message]
