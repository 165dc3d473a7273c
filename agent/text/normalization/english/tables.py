"""What English rules know by heart: months, units, money, signs, and words that tell what a number is."""

from __future__ import annotations

import re


def _pairs(text: str) -> dict[str, tuple[str, str]]:
    """Lines "signs: singular, plural" as a table by sign; without a plural it is as the singular."""
    table: dict[str, tuple[str, str]] = {}
    for line in text.strip().splitlines():
        signs, _, names = line.partition(": ")
        singular, _, plural = names.partition(", ")
        table |= dict.fromkeys(signs.split(), (singular, plural or singular))
    return table


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
_MONTH_NAMES = {name: name for name in MONTHS} | {name[:3]: name for name in MONTHS} | {"Sept": "September"}
MONTH_NAMES = _MONTH_NAMES | {
    in_case: name
    for short, name in _MONTH_NAMES.items()
    for in_case in (short.upper(), short.lower())
    if in_case not in ("sun", "mar", "dec", "DEC")
}
LOWER_WORDS = words("may march")
"""Months that are other words as well, in small letters."""

DAY_NAMES = {
    short: name
    for name, shorts in (
        ("Monday", "Mon"),
        ("Tuesday", "Tue Tues"),
        ("Wednesday", "Wed"),
        ("Thursday", "Thu Thur Thurs"),
        ("Friday", "Fri"),
        ("Saturday", "Sat"),
        ("Sunday", "Sun"),
    )
    for short in [name, *shorts.split()]
}

_SHORT = _pairs("""
mm: millimeter, millimeters
cm: centimeter, centimeters
dm: decimeter, decimeters
m: meter, meters
km Km KM: kilometer, kilometers
nm: nanometer, nanometers
µm μm: micrometer, micrometers
mi: mile, miles
yd: yard, yards
ft: foot, feet
ha: hectare, hectares
mg: milligram, milligrams
µg μg mcg: microgram, micrograms
g: gram, grams
kg Kg KG: kilogram, kilograms
t: ton, tons
lb lbs: pound, pounds
oz: ounce, ounces
ml mL: milliliter, milliliters
cl cL: centiliter, centiliters
dl dL: deciliter, deciliters
l L: liter, liters
gal: gallon, gallons
bbl: barrel, barrels
tsp: teaspoon, teaspoons
tbsp: tablespoon, tablespoons
ns: nanosecond, nanoseconds
µs μs: microsecond, microseconds
ms: millisecond, milliseconds
s sec secs: second, seconds
min mins: minute, minutes
h hr hrs: hour, hours
wk wks: week, weeks
mo mos: month, months
yr yrs: year, years
Hz: hertz
kHz: kilohertz
MHz: megahertz
GHz: gigahertz
THz: terahertz
B: byte, bytes
kB KB: kilobyte, kilobytes
MB: megabyte, megabytes
GB: gigabyte, gigabytes
TB: terabyte, terabytes
PB: petabyte, petabytes
KiB: kibibyte, kibibytes
MiB: mebibyte, mebibytes
GiB: gibibyte, gibibytes
TiB: tebibyte, tebibytes
kbit kb: kilobit, kilobits
Mbit Mb: megabit, megabits
Gbit Gb: gigabit, gigabits
kbps Kbps: kilobit per second, kilobits per second
Mbps: megabit per second, megabits per second
Gbps: gigabit per second, gigabits per second
W: watt, watts
mW: milliwatt, milliwatts
kW: kilowatt, kilowatts
MW: megawatt, megawatts
GW: gigawatt, gigawatts
Wh: watt hour, watt hours
kWh: kilowatt hour, kilowatt hours
MWh: megawatt hour, megawatt hours
GWh: gigawatt hour, gigawatt hours
TWh: terawatt hour, terawatt hours
V: volt, volts
mV: millivolt, millivolts
kV: kilovolt, kilovolts
mA: milliamp, milliamps
Ah: amp hour, amp hours
mAh: milliamp hour, milliamp hours
Ω Ω: ohm, ohms
kΩ kΩ: kiloohm, kiloohms
MΩ MΩ: megaohm, megaohms
dB: decibel, decibels
dB(A) dBA: decibel eh, decibels eh
Pa: pascal, pascals
hPa: hectopascal, hectopascals
kPa: kilopascal, kilopascals
MPa: megapascal, megapascals
bar: bar, bars
psi: P S I
cal: calorie, calories
kcal: kilocalorie, kilocalories
J: joule, joules
kJ: kilojoule, kilojoules
MJ: megajoule, megajoules
N: newton, newtons
kN: kilonewton, kilonewtons
Nm: newton meter, newton meters
K: kelvin, kelvins
mol: mole, moles
mmol: millimole, millimoles
µmol μmol: micromole, micromoles
nmol: nanomole, nanomoles
pmol: picomole, picomoles
ng: nanogram, nanograms
pg: picogram, picograms
µL μL µl μl: microliter, microliters
cc: cubic centimeter, cubic centimeters
eV: electron volt, electron volts
keV: kiloelectron volt, kiloelectron volts
MeV: megaelectron volt, megaelectron volts
GeV: gigaelectron volt, gigaelectron volts
TeV: teraelectron volt, teraelectron volts
µA μA: microamp, microamps
kA: kiloamp, kiloamps
µV μV: microvolt, microvolts
pF: picofarad, picofarads
nF: nanofarad, nanofarads
µF μF: microfarad, microfarads
mH: millihenry, millihenries
Sv: sievert, sieverts
mSv: millisievert, millisieverts
µSv μSv: microsievert, microsieverts
Bq: becquerel, becquerels
lx: lux
lm: lumen, lumens
cd: candela, candelas
mbar: millibar, millibars
mbps: megabit per second, megabits per second
gbps: gigabit per second, gigabits per second
rpm: revolution per minute, revolutions per minute
mph: mile per hour, miles per hour
kph kmh: kilometer per hour, kilometers per hour
mpg: mile per gallon, miles per gallon
fps: frame per second, frames per second
bpm: beat per minute, beats per minute
dpi: dot per inch, dots per inch
ppm: part per million, parts per million
ppb: part per billion, parts per billion
px: pixel, pixels
pts: point, points
sqft: square foot, square feet
sqm: square meter, square meters
MP: megapixel, megapixels
mmHg: millimeter of mercury, millimeters of mercury
L/100km l/100km: liter per hundred kilometers, liters per hundred kilometers
hp: horsepower
ly: light year, light years
AU: astronomical unit, astronomical units
″: inch, inches
′: foot, feet
""")
UNITS = (
    _SHORT
    | {
        f"{short}{stop} {unit}{stop}": (f"{long} {name}", f"{long} {names}")
        for short, long in (("sq", "square"), ("cu", "cubic"))
        for unit, name, names in (
            ("ft", "foot", "feet"),
            ("in", "inch", "inches"),
            ("yd", "yard", "yards"),
            ("mi", "mile", "miles"),
            ("m", "meter", "meters"),
            ("km", "kilometer", "kilometers"),
        )
        for stop in ("", ".")
    }
    | {"fl oz": ("fluid ounce", "fluid ounces"), "L/100 km": _SHORT["L/100km"]}
)
AFTER_SLASH = UNITS | _pairs("""
s: second, seconds
h: hour, hours
d day: day, days
week: week, weeks
month: month, months
year: year, years
in: inch, inches
second: second, seconds
minute: minute, minutes
hour: hour, hours
person: person, people
capita: capita
unit: unit, units
user: user, users
night: night, nights
token: token, tokens
""")
"""What may stand after the slash of a unit or a price: "km/h", "$5/month"."""

ONLY_APART = words("K t N B")
"""Letters that are units where a space is before them, and something else where none is: "300K", "4K"."""
ONLY_WITH_SLASH = words("B N")
LENGTHS = words("mm cm dm m km Km KM nm µm μm mi yd ft in")
"""Units whose second power is an area, and whose third is a volume."""

DEGREES = {"C": "Celsius", "F": "Fahrenheit", "K": "Kelvin"}
QUARTERS = {"N": "north", "S": "south", "E": "east", "W": "west"}

CURRENCIES = _pairs("""
$ USD: dollar, dollars
US$ U.S.$: U S dollar, U S dollars
CAD CA$ C$: Canadian dollar, Canadian dollars
AUD AU$ A$: Australian dollar, Australian dollars
NZD NZ$: New Zealand dollar, New Zealand dollars
HKD HK$: Hong Kong dollar, Hong Kong dollars
SGD S$: Singapore dollar, Singapore dollars
MXN MX$ Mex$: Mexican peso, Mexican pesos
€ EUR: euro, euros
£ GBP: pound, pounds
¥ JPY: yen
CNY RMB: yuan
₹ INR Rs Rs.: rupee, rupees
₩ KRW: won
₽ RUB: ruble, rubles
₺ TRY: lira
₪ ILS: shekel, shekels
฿ THB: baht
₫ VND: dong
₱ PHP: peso, pesos
₦ NGN: naira
₴ UAH: hryvnia, hryvnias
₿ BTC: bitcoin, bitcoins
ETH: ether
CHF: Swiss franc, Swiss francs
SEK: Swedish krona, Swedish kronor
NOK: Norwegian krone, Norwegian kroner
kr kr.: krone, kroner
DKK: Danish krone, Danish kroner
PLN zł: zloty, zlotys
CZK Kč: Czech koruna, Czech korunas
HUF: forint, forints
BRL R$: real, reals
ZAR: rand
AED: dirham, dirhams
TWD NT$: New Taiwan dollar, New Taiwan dollars
IDR Rp: rupiah
MYR: ringgit
ARS: Argentine peso, Argentine pesos
CLP: Chilean peso, Chilean pesos
EGP: Egyptian pound, Egyptian pounds
SAR: Saudi riyal, Saudi riyals
QAR: Qatari riyal, Qatari riyals
KWD: Kuwaiti dinar, Kuwaiti dinars
PKR: Pakistani rupee, Pakistani rupees
LKR: Sri Lankan rupee, Sri Lankan rupees
BDT ৳: taka
ISK: Icelandic krona, Icelandic kronur
KES: Kenyan shilling, Kenyan shillings
KZT ₸: tenge
GEL ₾: lari
CRC ₡: colon, colones
¢: cent, cents
""")
HUNDREDTHS = {"£": ("penny", "pence"), "GBP": ("penny", "pence"), "₹": ("paisa", "paise")}
"""What a hundredth is called where it is no cent."""
WHOLE_ONLY = words("¥ JPY ₩ KRW ₫ VND ₿ BTC ETH ¢")
"""Currencies whose decimals are said as such."""
SCALES = {
    "k": "thousand",
    "K": "thousand",
    "m": "million",
    "M": "million",
    "mn": "million",
    "mln": "million",
    "mm": "million",
    "MM": "million",
    "b": "billion",
    "B": "billion",
    "bn": "billion",
    "Bn": "billion",
    "bln": "billion",
    "T": "trillion",
    "tn": "trillion",
    "trn": "trillion",
}
SCALE_WORDS = "hundred|thousand|million|billion|trillion|quadrillion|dozen"

VULGAR = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅖": "2/5",
    "⅗": "3/5",
    "⅘": "4/5",
    "⅙": "1/6",
    "⅚": "5/6",
    "⅐": "1/7",
    "⅛": "1/8",
    "⅜": "3/8",
    "⅝": "5/8",
    "⅞": "7/8",
    "⅑": "1/9",
    "⅒": "1/10",
}
SIGNS = {
    "±": "plus or minus",
    "∓": "minus or plus",
    "≤": "is less than or equal to",
    "≥": "is greater than or equal to",
    "≠": "is not equal to",
    "≈": "is approximately",
    "≅": "is approximately",
    "≡": "is equivalent to",
    "∝": "is proportional to",
    "×": "times",
    "⋅": "times",
    "∙": "times",
    "÷": "divided by",
    "∞": "infinity",
    "∑": "the sum of",
    "∏": "the product of",
    "∫": "the integral of",
    "∂": "partial",
    "∇": "nabla",
    "∈": "in",
    "∉": "not in",
    "∪": "union",
    "∩": "intersection",
    "⊂": "is a subset of",
    "∅": "the empty set",
    "∴": "therefore",
    "∧": "and",
    "∨": "or",
    "¬": "not",
    "∀": "for all",
    "∃": "there exists",
    "ℕ": "the natural numbers",
    "ℤ": "the integers",
    "ℚ": "the rational numbers",
    "ℝ": "the real numbers",
    "ℂ": "the complex numbers",
    "√": "the square root of",
    "∛": "the cube root of",
    "∜": "the fourth root of",
    "=": "equals",
    "<": "is less than",
    ">": "is greater than",
    "+": "plus",
    "−": "minus",
    "‰": "per thousand",
    "%": "percent",
    "№": "number",
    "°": "degrees",
}
"""Signs that are said wherever they are left. Between numbers, rules that know more come first."""
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΦΨΩ",
        [
            "alpha",
            "beta",
            "gamma",
            "delta",
            "epsilon",
            "zeta",
            "eta",
            "theta",
            "iota",
            "kappa",
            "lambda",
            "mu",
            "nu",
            "xi",
            "omicron",
            "pi",
            "rho",
            "sigma",
            "tau",
            "upsilon",
            "phi",
            "chi",
            "psi",
            "omega",
            "gamma",
            "delta",
            "theta",
            "lambda",
            "xi",
            "pi",
            "sigma",
            "phi",
            "psi",
            "omega",
        ],
        strict=True,
    )
)
ADDRESS_SIGNS = {
    ".": " dot ",
    "@": " at ",
    "-": " dash ",
    "_": " underscore ",
    "+": " plus ",
    "&": " ampersand ",
    "/": " slash ",
    "~": " tilde ",
    ":": " port ",
}
"""Signs in addresses of mail and of the web, where each counts."""
IDIOMS = {
    "24/7": "twenty four seven",
    "24/7/365": "twenty four seven three sixty five",
    "9/11": "nine eleven",
    "50/50": "fifty fifty",
    "20/20": "twenty twenty",
    "50-50": "fifty fifty",
    "20-20": "twenty twenty",
}

BOOKS = (
    "Genesis|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra|Job|Psalms?|"
    "Proverbs|Ecclesiastes|Isaiah|Jeremiah|Ezekiel|Daniel|Hosea|Joel|Amos|Jonah|Micah|Matthew|Mark|Luke|John|"
    "Acts|Romans|Corinthians|Galatians|Ephesians|Philippians|Colossians|Timothy|Titus|Hebrews|James|Peter|"
    "Revelation|Surah?|Quran"
)
BOOKS_SHORT = {
    "Gen": "Genesis",
    "Ex": "Exodus",
    "Exod": "Exodus",
    "Lev": "Leviticus",
    "Num": "Numbers",
    "Deut": "Deuteronomy",
    "Josh": "Joshua",
    "Judg": "Judges",
    "Sam": "Samuel",
    "Kgs": "Kings",
    "Chron": "Chronicles",
    "Ps": "Psalm",
    "Prov": "Proverbs",
    "Eccl": "Ecclesiastes",
    "Isa": "Isaiah",
    "Jer": "Jeremiah",
    "Ezek": "Ezekiel",
    "Dan": "Daniel",
    "Hos": "Hosea",
    "Matt": "Matthew",
    "Mt": "Matthew",
    "Mk": "Mark",
    "Lk": "Luke",
    "Jn": "John",
    "Rom": "Romans",
    "Cor": "Corinthians",
    "Gal": "Galatians",
    "Eph": "Ephesians",
    "Phil": "Philippians",
    "Thess": "Thessalonians",
    "Tim": "Timothy",
    "Heb": "Hebrews",
    "Jas": "James",
    "Pet": "Peter",
    "Rev": "Revelation",
}
FUNCTION_WORDS = words(
    "of in on at for from with by as to and or but so if than then that which who when while where is are "
    "was were be been has have had do does did will would can could should may might must not no per each "
    "a an the this these those it he she we you they i my our his her their its now again today tomorrow "
    "yesterday here there after before until since because although though however also only just already "
    "both all too ago please via plus minus times over under between during about into onto through "
    "around like or nor yet dot "
)
"""Words after a number that it does not count."""
VERBS_OF_YEARS = words("was were is are saw marked brought will has had would became began ended came")

# What makes the number after it one that identifies. `DIGITS` are always said digit by digit.
DIGITS = (
    r"PINs?|pin(?: code| number)?|(?:zip|post(?:al)?|pass|access|security|verification|confirmation|"
    r"area|country|dialing|dialling|discount|booking|backup|one[- ]time|entry|door|gate|"
    r"alarm) ?codes?|ZIP|zip|postcode|passcode|password|OTP|codes?|(?:account|acct|flight|order|"
    r"serial|tracking|invoice|ticket|case|reference|ref|confirmation|booking|reservation|customer|"
    r"member(?:ship)?|policy|card|license|licence|passport|routing|model|part|phone|telephone|fax|"
    r"mobile|cell|product|item|badge|employee|student|social security|transaction|"
    r"registration)(?: number| no\.?| num\.?| #| ID| id)|account|acct|flight|extension|ext\.?|SKU|"
    r"ISBN|IBAN|VIN|IMEI|ISSN|SSN|IDs?|id"
)
LONG_DIGITS = r"order|ticket|invoice|case|reference|ref|booking|confirmation|tracking|serial|number|card"
"""The same from four digits on: "order 66 pizzas"."""
_STATES = """
AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut,
DE Delaware, DC D C, FL Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, IN Indiana, IA Iowa,
KS Kansas, KY Kentucky, LA Louisiana, ME Maine, MD Maryland, MA Massachusetts, MI Michigan,
MN Minnesota, MS Mississippi, MO Missouri, MT Montana, NE Nebraska, NV Nevada, NH New Hampshire,
NJ New Jersey, NM New Mexico, NY New York, NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma,
OR Oregon, PA Pennsylvania, PR Puerto Rico, RI Rhode Island, SC South Carolina, SD South Dakota,
TN Tennessee, TX Texas, UT Utah, VT Vermont, VA Virginia, VI Virgin Islands, WA Washington,
WV West Virginia, WI Wisconsin, WY Wyoming
"""
STATES = {
    code: name for code, _, name in (state.strip().partition(" ") for state in re.split(r",\s", _STATES))
}
"""What the letters of the United States' mail stand for."""
HOUSES = (
    r"[Rr]oom|[Ss]uite|[Aa]partment|[Aa]pt\.?|[Rr]oute|[Hh]ighway|[Hh]wy\.?|[Ii]nterstate|[Bb]us|"
    r"[Tt]rain|Boeing|Airbus|Peugeot|Porsche|Ferrari|Intel|Core i\d|RTX|GTX|GeForce|Radeon|Ryzen \d|"
    r"[Gg]ate|[Ll]ocker"
)
VERSIONED = (
    r"[Vv]ersions?|[Rr]elease|Python|Java|JavaScript|TypeScript|Node(?:\.js)?|Ubuntu|Debian|Fedora|"
    r"iOS|iPadOS|macOS|Mac OS X|OS X|Android|Windows|Linux|[Kk]ernel|Django|Flask|Rails|React|Angular|"
    r"Vue|PHP|Ruby|Rust|Go|Kotlin|Swift|Perl|Postgres|PostgreSQL|MySQL|SQLite|Redis|Docker|Kubernetes|"
    r"Chrome|Firefox|Safari|Edge|OpenSSL|TLS|SSL|HTTP|USB|HDMI|Bluetooth|OpenGL|Vulkan|CUDA|PyTorch|"
    r"TensorFlow|NumPy|pandas|GCC|gcc|Clang|LLVM|glibc|Gemini|Claude|GPT|Llama|Qwen|Mistral|Scala|"
    r"Gradle|Maven|npm|pip|git|Git|CMake|Unity|Unreal|Blender"
)
REGNAL = (
    "Louis|Henry|George|Elizabeth|Charles|Edward|James|William|Richard|Mary|Philip|Ferdinand|"
    "Frederick|Catherine|Peter|Nicholas|Alexander|Napoleon|Wilhelm|Pius|John Paul|John|Benedict|Leo|"
    "Gregory|Innocent|Francis|Paul|Urban|Clement|Julius|Sixtus|Boniface|Adrian|Alexios|Ramses|"
    "Ramesses|Rameses|Thutmose|Amenhotep|Ptolemy|Darius|Xerxes|Cyrus|Artaxerxes|Mehmed|Murad|Selim|"
    "Suleiman|Bayezid|Ahmed|Victoria|Gustav|Christian|Harald|Haakon|Olaf|Olav|Leopold|Albert|"
    "Baudouin|Juan Carlos|Felipe|Alfonso|Isabella|Carlos|Pedro|Manuel|Otto|Heinrich|Friedrich|Franz|"
    "Joseph|Josef|Maximilian|Rudolf|Ivan|Robert|David|Kenneth|Margaret|Margrethe|Anne|Alexandra|"
    "Cleopatra|Justinian|Theodosius|Constantine|Michael|Stephen|Ladislaus|Casimir|Sigismund|Umberto|"
    "Vittorio Emanuele|Victor Emmanuel|Abdullah|Hassan|Mohammed|Rama|Menelik|Kamehameha|Antiochus|"
    "Philippe|Alfred|Jan"
)
NUMBERED = (
    r"World War|War|Chapter|Part|Volume|Vol\.?|Book|Section|Article|Act|Scene|Title|Appendix|Class|"
    r"Level|Grade|Stage|Phase|Type|Mark|Schedule|Figure|Table|Super Bowl|Episode|Season|Round|Apollo|"
    r"Category|Division|Group|Factor|Unit|Lesson|Vatican|Rocky|Rambo|Canto|Psalm|Symphony|Saturn|"
    r"Olympiad|Schedule|Amendment|Highway|Step|Tier"
)
