"""What is asked in `scripts/bench minds`: 60 everyday questions in English, 20 in each of six languages.

Every second question of a kind is for tuning, the others are only counted. A pattern is looked for in the
answer as it was written and as it is said, in lower case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["fact", "sum", "memory", "talk", "unknowable"]


@dataclass(frozen=True)
class Question:
    """What a user says, one turn after the other, and what the last answer must have.

    right: a pattern; of what cannot be known there is none, and not to know it is right. wrong: what it must
    not have.
    """

    kind: Kind
    turns: tuple[str, ...]
    right: str = ""
    wrong: str = r"(?!)"


UNKNOWN: dict[str, str] = {
    "en": r"(do not|don't|cannot|can't|couldn't|not able to|unable to|no way (to|of)) ?"
    r"(actually |really |currently |directly |know|tell|see|say|check|access|have|hear|predict|provide|recall"
    r"|feel|do that)"
    r"|unable|no access|not sure|have no|without (access|knowing|more)|real-time",
    "es": r"no (lo |la |te |puedo|sé|se puede|tengo|dispongo|es posible|conozco|estoy segur)|desconozco"
    r"|imposible",
    "fr": r"(ne|n'|n’) ?(le |la |l')?(sais|peux|suis|ai|connais|dispose|est)\b.*?\bpas|impossible"
    r"|aucun (moyen|accès)",
    "it": r"non (lo |la |ti |posso|so\b|ho|sono|è possibile|conosco|riesco|dispongo)|impossibile",
    "pt": r"não (o |a |te |posso|sei|tenho|consigo|é possível|conheço|estou|disponho)|desconheço|impossível",
    "de": r"(weiß|kann|habe|kenne|bin)\b.*?\b(nicht|kein|keine|keinen)\b|unbekannt|unmöglich|leider nicht",
    "zh": r"不知道|无法|不能|没有办法|没办法|不清楚|没有(权限|访问|实时)|不确定|不了解",
}
"""How an answer says that it does not know."""

CODE = r"```|(?:^|\n)\s*(?:[-*•]\s|#)|\n\s*\d+[.)]\s|\bdef \w+\(|\bprint\(|\*\*"
"""What nobody says aloud: no answer that has it is right."""


def _asked(kind: Kind, questions: Sequence[tuple[str, ...]]) -> list[Question]:
    """Each given as its turns and then its pattern; of what cannot be known as its turns alone."""
    if kind == "unknowable":
        return [Question(kind, each) for each in questions]
    return [Question(kind, each[:-1], each[-1]) for each in questions]


EN = [
    *_asked(
        "fact",
        [
            ("What is the capital of France?", r"paris"),
            ("Who wrote Romeo and Juliet?", r"shakespeare"),
            (
                "How many days are there in a leap year?",
                r"three hundred and sixty[ -]six|three hundred sixty[ -]six",
            ),
            ("What is the largest planet in our solar system?", r"jupiter"),
            ("At how many degrees Celsius does water boil?", r"one hundred|a hundred"),
            ("Which animal is known as man's best friend?", r"\bdog"),
            ("What colour do you get when you mix blue and yellow?", r"green"),
            ("Which ocean is the largest?", r"pacific"),
            ("In which country are the pyramids of Giza?", r"egypt"),
            ("Why is the sky blue?", r"scatter"),
            ("How many legs does a spider have?", r"\beight"),
            ("What language do people speak in Brazil?", r"portuguese"),
            ("Who painted the Mona Lisa?", r"da vinci|leonardo"),
            ("What is the capital of Japan?", r"tokyo"),
            ("What do bees make?", r"honey"),
            ("What is the opposite of hot?", r"cold"),
            ("Which season comes after winter?", r"spring"),
            ("What is frozen water called?", r"\bice\b"),
            ("Which is the highest mountain in the world?", r"everest"),
            ("How many minutes are there in an hour?", r"sixty"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("What is seven plus five?", r"twelve"),
            ("How much is nine times eight?", r"seventy[ -]two"),
            ("What is a hundred minus thirty-seven?", r"sixty[ -]three"),
            ("What is half of ninety?", r"forty[ -]five"),
            ("I buy three apples for two dollars each. What do I pay?", r"\bsix\b"),
            ("What is twelve percent of two hundred?", r"twenty[ -]four"),
            ("If I sleep from ten in the evening to six in the morning, how many hours is that?", r"\beight"),
            ("What is fifteen plus twenty-eight?", r"forty[ -]three"),
            ("A train leaves at two and takes three hours. When does it arrive?", r"\bfive"),
            ("How many eggs are there in two dozen?", r"twenty[ -]four"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("My name is Anna.", "What is my name?", r"anna"),
            ("I have a cat called Minka.", "What is my cat's name?", r"minka"),
            ("What is the capital of Italy?", "And of Spain?", r"madrid"),
            ("I live in Oslo.", "In which country do I live?", r"norway"),
            ("My favourite colour is green.", "Which colour do I like best?", r"green"),
            ("I am allergic to nuts.", "Would a walnut cake be a good idea for me?", r"\bno\b|not|avoid|n't"),
            ("I am thirty years old.", "How old will I be in five years?", r"thirty[ -]five"),
            (
                "Who wrote Hamlet?",
                "In which country was he born?",
                r"england|united kingdom|britain|stratford",
            ),
            ("Remember the number seven.", "Which number was it?", r"\bseven\b"),
            ("My brother Tom is older than me.", "Who is the younger of us two?", r"\byou\b(?!r brother)"),
        ],
    ),
    *_asked(
        "talk",
        [
            ("Hello, how are you?", r"\b(well|good|great|fine|help|thank)"),
            ("Good morning!", r"morning|hello|hi\b|day"),
            ("I had a terrible day.", r"sorry|hear|understand|hope|tough|hard|here|better"),
            ("Thank you, that was helpful.", r"welcome|glad|happy|pleasure|anytime|help"),
            ("Tell me a joke.", r"\w+.*\b(why|what|because|so|did|was|knock|said|walk)"),
            ("I am so happy today!", r"glad|great|wonderful|happy|hear|nice|good|fantastic|joy"),
            ("Good night!", r"night|sleep|dream|rest"),
            ("Who are you?", r"assistant|help|ai\b|model"),
            ("I feel a bit lonely.", r"sorry|here|talk|understand|hear|friend|feel|reach"),
            (
                "Can you help me with my homework?",
                r"\b(yes|sure|of course|happy|help|absolutely|certainly|course)",
            ),
        ],
    ),
    *_asked(
        "unknowable",
        [
            ("What time is it?",),
            ("What is the weather like outside?",),
            ("What did I eat for breakfast today?",),
            ("Who is standing behind me?",),
            ("Which number am I thinking of?",),
            ("What is my neighbour's phone number?",),
            ("What is the score of the football match right now?",),
            ("Where did I leave my keys?",),
            ("How much money is in my bank account?",),
            ("What is today's top news?",),
        ],
    ),
]

ES = [
    *_asked(
        "fact",
        [
            ("¿Cuál es la capital de Francia?", r"par[ií]s"),
            ("¿Cuántos días tiene una semana?", r"siete"),
            ("¿Quién escribió Don Quijote?", r"cervantes"),
            ("¿Qué producen las abejas?", r"\bmiel"),
            ("¿Cuál es el planeta más grande del sistema solar?", r"júpiter"),
            ("¿Qué idioma se habla en Brasil?", r"portugu[eé]s"),
            ("¿Cuántas patas tiene una araña?", r"ocho"),
            ("¿Cuál es el contrario de caliente?", r"frío|fría"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("¿Cuánto es siete más cinco?", r"doce"),
            ("¿Cuánto es nueve por ocho?", r"setenta y dos"),
            ("¿Cuál es la mitad de noventa?", r"cuarenta y cinco"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("Me llamo Ana.", "¿Cómo me llamo?", r"\bana\b"),
            ("Tengo un gato que se llama Mishi.", "¿Cómo se llama mi gato?", r"mishi"),
            ("¿Cuál es la capital de Italia?", "¿Y la de España?", r"madrid"),
            ("Vivo en Oslo.", "¿En qué país vivo?", r"noruega"),
        ],
    ),
    *_asked(
        "talk",
        [
            ("Hola, ¿qué tal?", r"hola|bien|ayud"),
            ("Muchas gracias.", r"nada|gusto|placer|ayud|gracias"),
        ],
    ),
    *_asked("unknowable", [("¿Qué hora es?",), ("¿Qué he desayunado hoy?",), ("¿Qué tiempo hace fuera?",)]),
]

FR = [
    *_asked(
        "fact",
        [
            ("Quelle est la capitale de l'Espagne ?", r"madrid"),
            ("Combien de jours y a-t-il dans une semaine ?", r"\bsept\b"),
            ("Qui a écrit Les Misérables ?", r"hugo"),
            ("Que produisent les abeilles ?", r"miel"),
            ("Quelle est la plus grande planète du système solaire ?", r"jupiter"),
            ("Quelle langue parle-t-on au Brésil ?", r"portugais"),
            ("Combien de pattes a une araignée ?", r"huit"),
            ("Quel est le contraire de chaud ?", r"froid"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("Combien font sept plus cinq ?", r"douze"),
            ("Combien font neuf fois huit ?", r"soixante[ -]douze"),
            ("Quelle est la moitié de quatre-vingt-dix ?", r"quarante[ -]cinq"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("Je m'appelle Anne.", "Comment je m'appelle ?", r"\banne\b"),
            ("J'ai un chat qui s'appelle Minou.", "Comment s'appelle mon chat ?", r"minou"),
            ("Quelle est la capitale de l'Italie ?", "Et celle du Portugal ?", r"lisbonne"),
            ("J'habite à Oslo.", "Dans quel pays est-ce que j'habite ?", r"norvège"),
        ],
    ),
    *_asked(
        "talk",
        [
            ("Bonjour, comment ça va ?", r"bonjour|bien|aider|salut"),
            ("Merci beaucoup.", r"rien|plaisir|prie|merci|aider"),
        ],
    ),
    *_asked(
        "unknowable",
        [
            ("Quelle heure est-il ?",),
            ("Qu'est-ce que j'ai mangé ce matin ?",),
            ("Quel temps fait-il dehors ?",),
        ],
    ),
]

IT = [
    *_asked(
        "fact",
        [
            ("Qual è la capitale della Francia?", r"parigi"),
            ("Quanti giorni ha una settimana?", r"sette"),
            ("Chi ha scritto la Divina Commedia?", r"dante"),
            ("Che cosa producono le api?", r"miele"),
            ("Qual è il pianeta più grande del sistema solare?", r"giove"),
            ("Che lingua si parla in Brasile?", r"portoghese"),
            ("Quante zampe ha un ragno?", r"otto"),
            ("Qual è il contrario di caldo?", r"freddo"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("Quanto fa sette più cinque?", r"dodici"),
            ("Quanto fa nove per otto?", r"settantadue"),
            ("Qual è la metà di novanta?", r"quarantacinque"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("Mi chiamo Anna.", "Come mi chiamo?", r"\banna\b"),
            ("Ho un gatto che si chiama Micio.", "Come si chiama il mio gatto?", r"micio"),
            ("Qual è la capitale dell'Italia?", "E quella della Spagna?", r"madrid"),
            ("Abito a Oslo.", "In quale paese abito?", r"norvegia"),
        ],
    ),
    *_asked(
        "talk",
        [
            ("Ciao, come stai?", r"ciao|bene|aiut"),
            ("Grazie mille.", r"prego|piacere|nulla|niente|grazie|aiut"),
        ],
    ),
    *_asked(
        "unknowable", [("Che ore sono?",), ("Che cosa ho mangiato a colazione?",), ("Che tempo fa fuori?",)]
    ),
]

PT = [
    *_asked(
        "fact",
        [
            ("Qual é a capital da França?", r"paris"),
            ("Quantos dias tem uma semana?", r"sete"),
            ("Quem escreveu Dom Casmurro?", r"machado"),
            ("O que as abelhas produzem?", r"\bmel\b"),
            ("Qual é o maior planeta do sistema solar?", r"júpiter"),
            ("Que língua se fala no Brasil?", r"português|portuguesa"),
            ("Quantas pernas tem uma aranha?", r"oito"),
            ("Qual é o contrário de quente?", r"frio|fria"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("Quanto é sete mais cinco?", r"doze"),
            ("Quanto é nove vezes oito?", r"setenta e dois"),
            ("Qual é a metade de noventa?", r"quarenta e cinco"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("Meu nome é Ana.", "Qual é o meu nome?", r"\bana\b"),
            ("Tenho um gato chamado Mingau.", "Como se chama o meu gato?", r"mingau"),
            ("Qual é a capital da Itália?", "E a da Espanha?", r"madri"),
            ("Eu moro em Oslo.", "Em que país eu moro?", r"noruega"),
        ],
    ),
    *_asked(
        "talk",
        [("Olá, tudo bem?", r"olá|bem|ajud|oi\b"), ("Muito obrigado.", r"nada|prazer|disponha|obrigad|ajud")],
    ),
    *_asked(
        "unknowable",
        [("Que horas são?",), ("O que eu comi no café da manhã?",), ("Como está o tempo lá fora?",)],
    ),
]

DE = [
    *_asked(
        "fact",
        [
            ("Was ist die Hauptstadt von Frankreich?", r"paris"),
            ("Wie viele Tage hat eine Woche?", r"sieben"),
            ("Wer hat den Faust geschrieben?", r"goethe"),
            ("Was machen Bienen?", r"honig"),
            ("Welcher Planet ist der größte im Sonnensystem?", r"jupiter"),
            ("Welche Sprache spricht man in Brasilien?", r"portugiesisch"),
            ("Wie viele Beine hat eine Spinne?", r"\bacht"),
            ("Was ist das Gegenteil von heiß?", r"kalt"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("Was ist sieben plus fünf?", r"zwölf"),
            ("Was ist neun mal acht?", r"zweiundsiebzig"),
            ("Was ist die Hälfte von neunzig?", r"fünfundvierzig"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("Ich heiße Anna.", "Wie heiße ich?", r"\banna\b"),
            ("Meine Katze heißt Minka.", "Wie heißt meine Katze?", r"minka"),
            ("Was ist die Hauptstadt von Italien?", "Und von Spanien?", r"madrid"),
            ("Ich wohne in Oslo.", "In welchem Land wohne ich?", r"norwegen"),
        ],
    ),
    *_asked(
        "talk",
        [("Hallo, wie geht es dir?", r"hallo|gut|helfen"), ("Vielen Dank.", r"gern|bitte|freut|dank|helfen")],
    ),
    *_asked(
        "unknowable",
        [("Wie spät ist es?",), ("Was habe ich heute gefrühstückt?",), ("Wie ist das Wetter draußen?",)],
    ),
]

ZH = [
    *_asked(
        "fact",
        [
            ("法国的首都是哪里？", r"巴黎"),
            ("一个星期有几天？", r"七天|七"),
            ("《红楼梦》是谁写的？", r"曹雪芹"),
            ("蜜蜂生产什么？", r"蜂蜜|蜜"),
            ("太阳系里最大的行星是哪个？", r"木星"),
            ("巴西人说什么语言？", r"葡萄牙"),
            ("蜘蛛有几条腿？", r"八"),
            ("热的反义词是什么？", r"冷|凉|寒"),
        ],
    ),
    *_asked(
        "sum",
        [
            ("七加五等于多少？", r"十二"),
            ("九乘以八等于多少？", r"七十二"),
            ("九十的一半是多少？", r"四十五"),
        ],
    ),
    *_asked(
        "memory",
        [
            ("我叫小红。", "我叫什么名字？", r"小红"),
            ("我有一只猫，名字叫咪咪。", "我的猫叫什么名字？", r"咪咪"),
            ("意大利的首都是哪里？", "那西班牙的呢？", r"马德里"),
            ("我住在奥斯陆。", "我住在哪个国家？", r"挪威"),
        ],
    ),
    *_asked("talk", [("你好，最近怎么样？", r"你好|很好|帮|谢"), ("非常感谢。", r"不客气|高兴|不用|谢|帮")]),
    *_asked("unknowable", [("现在几点？",), ("我今天早饭吃了什么？",), ("外面天气怎么样？",)]),
]

QUESTIONS: dict[str, list[Question]] = {
    "en": EN,
    "es": ES,
    "fr": FR,
    "it": IT,
    "pt": PT,
    "de": DE,
    "zh": ZH,
}
