"""Tool choice: which tool, with which arguments; plain, and in the prompts of dspy.ReAct."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from .episode import Episode, Field, Sig, demo_count, field_name, with_reasoning
from .grammar import expand
from .lexicon import Slots, Split


@dataclass(frozen=True)
class Tool:
    """A function a request may need."""

    names: tuple[str, ...]
    descs: tuple[str, ...]
    args: tuple[tuple[str, str], ...]
    """(argument, slot it is filled from)"""
    asks: tuple[str, ...]
    """wordings of a request; the last is for the held-out split"""
    reply: str


TOOLS = (
    Tool(
        ("track_order", "order_status", "where_is"),
        ("find out where an order is", "status of an order"),
        (("order_id", "order"),),
        (
            "Where is order {order}?",
            "Has {order} left the warehouse?",
            "I want to know about the way of order {order}.",
            "When does my parcel {order} come?",
        ),
        "Order {order} is in {town}.",
    ),
    Tool(
        ("cancel_order", "stop_order"),
        ("cancel an order", "stop an order before it is sent"),
        (("order_id", "order"),),
        ("Cancel order {order}.", "Please stop {order}, I don't need it.", "I changed my mind about order {order}."),
        "done",
    ),
    Tool(
        ("get_price", "price_of", "look_up_price"),
        ("look up the price of a product", "price of an item"),
        (("item", "item"),),
        ("What does the {item} cost?", "How much is a {item}?", "Tell me the price of the {item}."),
        "The {item} costs {n} euros.",
    ),
    Tool(
        ("get_weather", "weather"),
        ("weather in a town on a day", "tell the weather"),
        (("town", "town"), ("day", "day")),
        (
            "Will it rain in {town} on {day}?",
            "Do I need a coat on {day} in {town}?",
            "How is the weather in {town} on {day}?",
        ),
        "It is sunny in {town} on {day}.",
    ),
    Tool(
        ("send_mail", "write_mail"),
        ("send a mail to a person", "write to somebody"),
        (("to", "first"), ("about", "item")),
        (
            "Write to {first} about the {item}.",
            "Tell {first} by mail that the {item} is here.",
            "Mail {first} about the {item}.",
        ),
        "sent",
    ),
    Tool(
        ("find_person", "lookup_person", "who_is"),
        ("find the job of a person", "information about a person"),
        (("name", "first"),),
        ("What is the job of {first}?", "Who is {first}?", "What does {first} do for work?"),
        "{first} is a {job}.",
    ),
    Tool(
        ("find_place", "locate"),
        ("find the town of a place", "tell where a building is"),
        (("place", "place"),),
        ("Where is the {place}?", "In which town do I find the {place}?", "Which town has the {place}?"),
        "The {place} is in {town}.",
    ),
    Tool(
        ("add_numbers", "add", "plus"),
        ("add two numbers", "sum of two numbers"),
        (("a", "number"), ("b", "number2")),
        ("What is {number} plus {number2}?", "Add {number} and {number2}.", "Sum up {number} and {number2}."),
        "{sum}",
    ),
    Tool(
        ("book_table", "reserve"),
        ("book a table on a day", "reserve for some people"),
        (("day", "day"), ("people", "n")),
        ("A table for {n} on {day}, please.", "We are {n} people and come on {day}.", "Book for {n} people on {day}."),
        "booked",
    ),
    Tool(
        ("search_shop", "search", "find_product"),
        ("search the shop for a product", "look for things to buy"),
        (("query", "item"),),
        ("Do you sell a {item}?", "I am looking for a {item}.", "Is there a {item} in the shop?"),
        "We have {n} of {item}.",
    ),
)


def _case(rng: random.Random, split: Split, tool: Tool) -> tuple[str, dict[str, str], Slots]:
    slots = Slots(rng, split)
    ask = tool.asks[-1] if split == "held" else rng.choice(tool.asks[:-1])
    text = expand(ask, rng, slots)
    args = {name: slots(slot) for name, slot in tool.args}
    if "number2" in slots.values:
        slots.values["sum"] = str(int(slots("number")) + int(slots("number2")))
    return text, args, slots


def tool_choice(rng: random.Random, split: Split, n_demos: int = -1) -> Episode:
    """A request and a list of tools: name the tool and give its arguments as JSON."""
    tools = rng.sample(TOOLS, rng.randint(2, 4))
    names = [rng.choice(t.names) for t in tools]
    listing = "\n".join(
        f"{n}({', '.join(a for a, _ in t.args)}): {rng.choice(t.descs)}" for n, t in zip(names, tools, strict=True)
    )
    request = field_name(rng, ("request", "question", "message"), output=False)
    inside = rng.random() < 0.4
    asks = ("Choose the tool and its arguments.", "Which tool helps?", "Call the right tool.", "Pick a tool.")
    told = rng.choice(asks)
    if inside:
        told += "\n" + listing
    name = Field("tool", *(("Literal", "", tuple(names)) if rng.random() < 0.5 else ()))
    inputs = (Field(request),) if inside else (Field(request), Field("tools"))
    sig = Sig(inputs, (name, Field("arguments", "dict[str, str]")), told)
    turns: list[dict[str, object]] = []
    for _ in range((n_demos if n_demos >= 0 else demo_count(rng, 3)) + 1):
        i = rng.randrange(len(tools))
        text, args, _ = _case(rng, split, tools[i])
        turns.append({request: text, "tool": names[i], "arguments": args})
        if not inside:
            turns[-1]["tools"] = listing
    return Episode(sig, tuple(turns), "tools/choice", facts={"answer": "tool"})


REACT = (
    "You are an Agent. In each episode, you will be given the fields {ins} as input. And you can see your past "
    "trajectory so far.\nYour goal is to use one or more of the supplied tools to collect any necessary information "
    "for producing {outs}.\n\nTo do this, you will interleave next_thought, next_tool_name, and next_tool_args in each "
    "turn, and also when finishing the task.\nAfter each tool call, you receive a resulting observation, which gets "
    "appended to your trajectory.\n\nWhen writing next_thought, you may reason about the current situation and plan "
    "for future steps.\nWhen selecting the next_tool_name and its next_tool_args, the tool must be one of:\n"
)
FINISH = (
    "Marks the task as complete. That is, signals that all information for producing the outputs, i.e. {outs}, are "
    "now available to be extracted."
)


def react(rng: random.Random, split: Split) -> Episode:
    """One call of dspy.ReAct: the first step, the step after an observation, or the final answer."""
    tools = rng.sample([t for t in TOOLS if t.reply not in ("done", "sent", "booked")], rng.randint(1, 3))
    names = [rng.choice(t.names) for t in tools]
    i = rng.randrange(len(tools))
    text, args, slots = _case(rng, split, tools[i])
    reply = expand(tools[i].reply, rng, slots)
    pairs = (("question", "answer"), ("question", "answer"), ("request", "reply"), ("query", "result"))
    question, answer = rng.choice(pairs)
    base = rng.choice(("", "Answer the question.", "Help the customer.")) or (
        f"Given the fields `{question}`, produce the fields `{answer}`."
    )
    done = rng.random() < 0.66
    thought = f"I need to use {names[i]}."
    steps = [f"[[ ## thought_0 ## ]]\n{thought}", f"[[ ## tool_name_0 ## ]]\n{names[i]}"]
    steps += [f"[[ ## tool_args_0 ## ]]\n{json.dumps(args)}", f"[[ ## observation_0 ## ]]\n{reply}"]
    if done and rng.random() < 0.5:
        steps += ["[[ ## thought_1 ## ]]\nI know the answer now.", "[[ ## tool_name_1 ## ]]\nfinish"]
        steps += ["[[ ## tool_args_1 ## ]]\n{}", "[[ ## observation_1 ## ]]\nCompleted."]
        sig = Sig((Field(question), Field("trajectory")), with_reasoning((Field(answer),)), base)
        values = {question: text, "trajectory": "\n\n".join(steps)}
        values |= {"reasoning": f"The tool says: {reply}", answer: reply}
        return Episode(sig, (values,), "tools/react", facts={"answer": answer})
    outs = f"`{answer}`"
    known = [(rng.choice(t.descs), {a: {"type": "string"} for a, _ in t.args}) for t in tools]
    known.append((FINISH.format(outs=outs), {}))
    listing = [
        f"({k}) {n}, whose description is <desc>{desc}</desc>. It takes arguments {schema}."
        for k, (n, (desc, schema)) in enumerate(zip((*names, "finish"), known, strict=True), 1)
    ]
    lead = REACT.format(ins=f"`{question}`", outs=outs)
    told = f"{base}\n\n{lead}\n" + "\n".join(listing)
    told += "\nWhen providing `next_tool_args`, the value inside the field must be in JSON format"
    which = Field("next_tool_name", "Literal", "", (*names, "finish"))
    outputs = (Field("next_thought"), which, Field("next_tool_args", "dict[str, Any]"))
    sig = Sig((Field(question), Field("trajectory")), outputs, told)
    values = {question: text, "trajectory": "\n\n".join(steps) if done else ""}
    values |= {"next_thought": "I know the answer now." if done else thought}
    values |= {"next_tool_name": "finish" if done else names[i]}
    return Episode(sig, ({**values, "next_tool_args": {} if done else args},), "tools/react", facts={"answer": answer})
