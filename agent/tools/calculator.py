"""Arithmetic and units. Knows numbers, and runs nothing that is written in an expression."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from agent.errors import ToolError
from agent.tools.tool import tool

LONGEST, LARGEST = 200, 10_000
"""Characters of an expression, and bits of a number in it: what is beyond either would take for ever."""

_TWO: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: operator.mod,
}


def _factorial(n: int) -> int:
    if not 0 <= n <= 500:
        raise OverflowError
    return math.factorial(n)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "log": math.log,
    "ln": math.log,
    "exp": math.exp,
    "floor": math.floor,
    "ceil": math.ceil,
    "factorial": _factorial,
}
_NAMES = {"pi": math.pi, "e": math.e}

_UNITS: dict[str, dict[str, float]] = {
    "length": {
        "mm millimeter millimetre": 0.001,
        "cm centimeter centimetre": 0.01,
        "m meter metre": 1.0,
        "km kilometer kilometre": 1000.0,
        "in inch inches": 0.0254,
        "ft foot feet": 0.3048,
        "yd yard": 0.9144,
        "mi mile": 1609.344,
        "nmi nautical_mile": 1852.0,
    },
    "weight": {
        "mg milligram": 1e-6,
        "g gram": 0.001,
        "kg kilogram kilo": 1.0,
        "t ton tonne": 1000.0,
        "oz ounce": 0.028349523125,
        "lb pound lbs": 0.45359237,
        "st stone": 6.35029318,
    },
    "volume": {
        "ml milliliter millilitre": 0.001,
        "cl centiliter centilitre": 0.01,
        "dl deciliter decilitre": 0.1,
        "l liter litre": 1.0,
        "tsp teaspoon": 0.00492892159375,
        "tbsp tablespoon": 0.01478676478125,
        "fl_oz fluid_ounce": 0.0295735295625,
        "cup": 0.2365882365,
        "pt pint": 0.473176473,
        "qt quart": 0.946352946,
        "gal gallon": 3.785411784,
    },
    "time": {
        "s second sec": 1.0,
        "min minute": 60.0,
        "h hour hr": 3600.0,
        "d day": 86400.0,
        "week": 604800.0,
        "year": 31556952.0,
    },
    "speed": {
        "m/s": 1.0,
        "km/h kmh kph kilometers_per_hour kilometres_per_hour": 1 / 3.6,
        "mph miles_per_hour": 0.44704,
        "kn knot": 1852 / 3600,
    },
    "area": {
        "m2 square_meter square_metre": 1.0,
        "km2 square_kilometer square_kilometre": 1e6,
        "ha hectare": 1e4,
        "acre": 4046.8564224,
        "ft2 square_foot square_feet": 0.09290304,
        "sq_mi square_mile": 2589988.110336,
    },
    "data": {"b byte": 1.0, "kb kilobyte": 1e3, "mb megabyte": 1e6, "gb gigabyte": 1e9, "tb terabyte": 1e12},
}
"""What each unit is in the first of its kind that is 1; international ones, volumes of the United States."""
_SIZES = {
    name: (kind, size)
    for kind, units in _UNITS.items()
    for names, size in units.items()
    for name in names.split()
}
_DEGREES = {"c": "c", "celsius": "c", "f": "f", "fahrenheit": "f", "k": "k", "kelvin": "k"}


@tool(effect="reads")
def calculate(expression: str) -> str:
    """Work out an arithmetic expression exactly."""
    return f"{expression} = {_shown(value_of(expression))}"


@tool(effect="reads")
def convert_units(value: float, unit: str, to: str) -> str:
    """Convert a length, weight, volume, time, speed, area, amount of data or temperature to another unit."""
    return f"{_shown(value)} {unit} = {_shown(converted(value, unit, to))} {to}"


def value_of(expression: str) -> int | float:
    """What an expression comes to. Raises ToolError for one that is none, or too large."""
    text = re.sub(r"(\d+(?:\.\d+)?)\s*(?:%|percent)\s*of\b", r"(\1/100)*", expression[: LONGEST + 1].lower())
    text = re.sub(r"(\d)\s*%(?=\s*(?:$|[)+\-*/]))", r"\1/100", text)
    text = text.replace("^", "**").replace("×", "*").replace("÷", "/").replace("−", "-")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    if len(expression) > LONGEST:
        raise ToolError(f"An expression has at most {LONGEST} characters.")
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError) as error:
        raise ToolError(f"{expression!r} is no expression that can be worked out.") from error
    except ZeroDivisionError as error:
        raise ToolError("It divides by zero, which has no result.") from error
    except OverflowError as error:
        raise ToolError("It comes to a number that is too large.") from error
    return value


def converted(value: float, unit: str, to: str) -> float:
    """A quantity in another unit. Raises ToolError for units that are not known, or of two kinds."""
    if (begin := _degrees(unit)) and (end := _degrees(to)):
        kelvin = {"c": value + 273.15, "f": (value - 32) * 5 / 9 + 273.15, "k": value}[begin]
        return {"c": kelvin - 273.15, "f": (kelvin - 273.15) * 9 / 5 + 32, "k": kelvin}[end]
    (kind, size), (other, target) = _size(unit), _size(to)
    if kind != other:
        raise ToolError(f"{unit} is a {kind} and {to} a {other}: one cannot become the other.")
    return value * size / target


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _checked(value)
        case ast.UnaryOp(op=ast.USub(), operand=inside):
            return -_value(inside)
        case ast.UnaryOp(op=ast.UAdd(), operand=inside):
            return _value(inside)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _checked(_power(_value(left), _value(right)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
            return _checked(_TWO[type(op)](_value(left), _value(right)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _checked(_FUNCTIONS[name](*map(_value, args)))
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case _:
            raise ValueError("not arithmetic")


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > LARGEST:
        _too_large()
    return base**exponent


def _checked(value: Any) -> Any:
    if isinstance(value, complex):
        raise ValueError("not a real number")
    if isinstance(value, int) and value.bit_length() > LARGEST:
        _too_large()
    return value


def _too_large() -> Any:
    raise OverflowError


def _shown(value: float) -> str:
    if isinstance(value, int):
        return (
            str(value)
            if value.bit_length() < 200
            else f"about {value:.6e}"
            if value.bit_length() < 1000
            else "a number of hundreds of digits"
        )
    if not math.isfinite(value):
        raise ToolError("It comes to no number.")
    return f"{value:.10g}"


def _degrees(unit: str) -> str:
    return _DEGREES.get(re.sub(r"degrees?|°|\s", "", unit.lower()), "")


def _size(unit: str) -> tuple[str, float]:
    name = re.sub(r"\s+", "_", unit.strip().lower().rstrip("."))
    for each in (name, name.removesuffix("s"), name.removesuffix("es"), re.sub(r"s_", "_", name)):
        if each in _SIZES:
            return _SIZES[each]
    raise ToolError(f"{unit!r} is no unit that is known.")


calculator = [calculate, convert_units]
"""The set."""
