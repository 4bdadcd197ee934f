"""The prompts of DSPy's own proposers (MIPROv2's grounded proposer, COPRO), with answers a proposer can use.

Field names, descriptions and instructions are those of dspy.propose and dspy.teleprompt.copro_optimizer (3.4.1).
"""

from __future__ import annotations

import random

from .classify import Class, rules_text
from .concepts import wordings
from .episode import Episode, Field, Sig
from .grammar import expand
from .lexicon import Slots, Split
from .proposing import Material, explained, material

DESCRIBE_DATA = (
    "Given several examples from a dataset please write observations about trends that hold for most or all of the "
    "samples. {prior}Some areas you may consider in your observations: topics, content, syntax, {spelling}, etc. It "
    "will be useful to make an educated guess as to the nature of the task this dataset will enable. Don't be afraid "
    "to be creative"
)
PRIOR = (
    "I will also provide you with a few observations I have already made.  Please add your own observations or if you "
    "feel the observations are comprehensive say 'COMPLETE' "
)
SUMMARIZE = (
    "Given a series of observations I have made about my dataset, please summarize them into a brief 2-3 sentence "
    "summary which highlights only the most important details."
)
PROGRAM = (
    "Below is some pseudo-code for a pipeline that solves tasks with calls to language models. Please describe {what}"
)
PROPOSE = (
    "Use the information below to learn about a task that we are trying to solve using calls to an LM, then generate a "
    "new instruction that will be used to prompt a Language Model to better solve the task."
)
TIPS = (
    "Don't be afraid to be creative when creating the new instruction!",
    "Keep the instruction clear and concise.",
    "Make sure your instruction is very informative and descriptive.",
    "The instruction should include a high stakes scenario in which the LM must solve the task!",
    'Include a persona that is relevant to the task in the instruction (ie. "You are a ...")',
)
COPRO = (
    "You are an instruction optimizer for large language models. I will give {given}Your task is to propose {aim} "
    "Don't be afraid to be creative."
)
CODE = "Pseudocode for a language model program designed to solve a particular task."
EXAMPLE = "An example of the program in use."
HIGHLIGHTS = "Two to Three sentence summary of only the most significant highlights of my observations"
PREFIX = "The string at the end of the prompt, which will help the model start solving the task"
PROPOSED = "Propose an instruction that will be used to prompt a Language Model to perform this task."
TASK = "Describe what task the program is designed to solve, and how it goes about solving this task."
SUMMARY = "Summary of the task the program is designed to solve, and how it goes about solving it."


def _notes(rng: random.Random, split: Split, m: Material, classes: tuple[Class, ...], lead: bool = True) -> str:
    """Observations: what the data is, then a sentence for every class that shows."""
    head = f"The data has {m.noun}s with the {m.answer}. " if lead else ""
    return head + rules_text(rng, split, classes, m.noun, m.answer.replace("_", " "), lines=0.0)


def _shown(m: Material) -> str:
    parts = ({m.field: v[m.field], m.answer: v[m.answer]} for v in m.examples)
    return "[" + ", ".join(f"Example({d}) (input_keys={{'{m.field}'}})" for d in parts) + "]"


def observe(rng: random.Random, split: Split) -> Episode:
    """MIPROv2's DatasetDescriptor, with and without earlier observations."""
    m = material(rng, split, 10)
    later = rng.random() < 0.4
    seen = tuple(c for c in m.classes if any(v[m.answer] == c.label for v in m.examples))
    inputs = [Field("examples", desc="Sample data points from the dataset")]
    values = {"examples": _shown(m)}
    fresh = seen
    if later:
        inputs.append(Field("prior_observations", desc="Some prior observations I made about the data"))
        told = tuple(c for c in m.classes if rng.random() < 0.6) or m.classes[:1]
        values["prior_observations"] = _notes(rng, split, m, told)
        fresh = tuple(c for c in seen if c not in told)
    values["observations"] = _notes(rng, split, m, fresh, not later) if fresh else "COMPLETE"
    desc = "Somethings that holds true for most or all of the data you observed"
    desc += " or COMPLETE if you have nothing to add" if later else ""
    told_text = DESCRIBE_DATA.format(prior=PRIOR if later else "", spelling="conciceness" if later else "conciseness")
    sig = Sig(tuple(inputs), (Field("observations", desc=desc),), told_text)
    return Episode(sig, (values,), "proposing/mipro_observe")


def summarize(rng: random.Random, split: Split) -> Episode:
    """MIPROv2's ObservationSummarizer: keep what explains the labels."""
    m = material(rng, split)
    first = tuple(c for c in m.known if rng.random() < 0.7) or m.known
    rest = tuple(c for c in m.known if c not in first)
    text = _notes(rng, split, m, first)
    text += " " * (rng.random() < 0.5) + _notes(rng, split, m, rest, lead=False) if rest else ""
    sig = Sig(
        (Field("observations", desc="Observations I have made about my dataset"),),
        (Field("summary", desc=HIGHLIGHTS),),
        SUMMARIZE,
    )
    return Episode(sig, ({"observations": text, "summary": _notes(rng, split, m, m.known)},), "proposing/mipro_summary")


def _field_line(name: str, annotation: str, role: str) -> str:
    """A field as pydantic prints it within a DSPy signature."""
    meta = {"desc": f"${{{name}}}", "__dspy_field_type": role, "prefix": name.replace("_", " ").title() + ":"}
    return f"    {name} = Field(annotation={annotation} required=True json_schema_extra={meta})\n"


def _code(rng: random.Random, m: Material) -> str:
    kind = "Literal[" + ", ".join(f"'{x}'" for x in m.labels()) + "]" if m.literal else "str"
    style = rng.random()
    if style < 0.25:
        return "\n\n"
    if style < 0.6:
        lines = [_field_line(m.field, "str", "input"), _field_line(m.answer, kind, "output")]
        if think := rng.random() < 0.5:
            lines.insert(1, _field_line("reasoning", "str", "output"))
        outs = ("reasoning, " if think else "") + m.answer
        head = f"StringSignature({m.field} -> {outs}\n    instructions={m.bare!r}\n"
        return head + "".join(lines) + ")\n\n\n\n"
    name, attr = rng.choice((("Sort", "sort"), ("Triage", "predict"), ("Classify", "classify"), ("Program", "prog")))
    how = rng.choice(("Predict", "ChainOfThought"))
    code = (
        f'class {name}Signature(dspy.Signature):\n    """{m.bare}"""\n\n    {m.field}: str = dspy.InputField()\n'
        f"    {m.answer}: {kind.replace(chr(39), chr(34))} = dspy.OutputField()\n\n\n\n\n"
    )
    return code + (
        f"class {name}(dspy.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.{attr} = dspy.{how}({name}Signature)\n\n"
        f"    def forward(self, {m.field}):\n        return self.{attr}({m.field}={m.field})\n"
    )


def _demos(rng: random.Random, m: Material) -> str:
    if rng.random() < 0.3:
        return "No task demos provided."
    title = {n: n.replace("_", " ").title() for n in (m.field, m.answer)}
    return (
        "\n\n".join(f"{title[m.field]}: {v[m.field]}\n{title[m.answer]}: {v[m.answer]}" for v in m.examples[:3])
        + "\n\n"
    )


def _purpose(m: Material) -> str:
    names = ", ".join(m.labels()) if m.literal or m.fits else ""
    return f"The program reads the {m.noun} and gives the {m.answer}." + (f" It is one of {names}." if names else "")


def describe(rng: random.Random, split: Split) -> Episode:
    """MIPROv2's DescribeProgram and DescribeModule."""
    m = material(rng, split, 4)
    inputs = [Field("program_code", desc=CODE), Field("program_example", desc=EXAMPLE)]
    values = {"program_code": _code(rng, m), "program_example": _demos(rng, m)}
    if rng.random() < 0.5:
        task = "what type of task this program appears to be designed to solve, and how it appears to work."
        out = Field("program_description", desc=TASK)
        values["program_description"] = _purpose(m)
    else:
        task = "the purpose of one of the specified module in this pipeline."
        inputs.append(Field("program_description", desc=SUMMARY))
        inputs.append(Field("module", desc="The module in the program that we want to describe."))
        values |= {"program_description": _purpose(m), "module": f"Predict({m.field}) -> {m.answer}"}
        out = Field("module_description", desc="Description of the module's role in the broader program.")
        values["module_description"] = f"The module gives the {m.answer} of the {m.noun}."
    return Episode(Sig(tuple(inputs), (out,), PROGRAM.format(what=task)), (values,), "proposing/mipro_describe")


def propose(rng: random.Random, split: Split) -> Episode:
    """MIPROv2's GenerateSingleModuleInstruction, with any of its optional inputs."""
    m = material(rng, split, 4)
    have = {key: rng.random() < p for key, p in (("data", 0.75), ("program", 0.6), ("history", 0.25), ("tip", 0.8))}
    demos = _demos(rng, m)
    shown = {v[m.answer] for v in m.examples[:3]} if "No task" not in demos else set()
    known = {c for c in m.classes if c.label in shown or (m.fits and m.literal and have["program"])}
    inputs, values = [], {}
    if have["data"]:
        told = tuple(c for c in m.classes if rng.random() < 0.85) or m.classes
        inputs.append(Field("dataset_description", desc="A description of the dataset that we are using."))
        values["dataset_description"] = _notes(rng, split, m, told)
        known |= set(told)
    if have["program"]:
        inputs += [
            Field("program_code", desc="Language model program designed to solve a particular task."),
            Field("program_description", desc=SUMMARY),
            Field("module", desc="The module to create an instruction for."),
            Field("module_description", desc="Description of the module to create an instruction for."),
        ]
        values |= {"program_code": _code(rng, m), "program_description": _purpose(m)}
        values["module"] = f"Predict({m.field}) -> {m.answer}"
        values["module_description"] = f"The module gives the {m.answer} of the {m.noun}."
        if m.fits:
            known |= set(m.classes)
    inputs.append(Field("task_demos", desc="Example inputs/outputs of our module."))
    values["task_demos"] = demos
    if have["history"]:
        desc = "Previous instructions we've attempted, along with their associated scores."
        inputs.append(Field("previous_instructions", desc=desc))
        values["previous_instructions"] = "".join(_tried(rng, split, m) for _ in range(rng.randint(1, 3)))
    inputs.append(Field("basic_instruction", desc="Basic instruction."))
    values["basic_instruction"] = m.bare
    if have["tip"]:
        inputs.append(Field("tip", desc="A suggestion for how to go about generating the new instruction."))
        values["tip"] = rng.choice(TIPS)
    classes = tuple(c for c in m.classes if c in known)
    values["proposed_instruction"] = explained(rng, split, m, classes) if classes else m.bare
    if "persona" in values.get("tip", "") and classes:
        values["proposed_instruction"] = "You are a careful expert. " + values["proposed_instruction"]
    sig = Sig(tuple(inputs), (Field("proposed_instruction", desc=PROPOSED),), PROPOSE)
    facts = {"classes": classes, "answer": "proposed_instruction"}
    return Episode(sig, (values,), "proposing/mipro_propose", facts=facts)


def _tried(rng: random.Random, split: Split, m: Material) -> str:
    """An instruction of the past with its score, as MIPROv2 lists them."""
    template = rng.choice(wordings("classify.txt", "bare", split))
    fill = Slots(rng, split)
    fill.values |= {"noun": m.noun, "answer": m.answer.replace("_", " ")}
    return f"{expand(template, rng, fill)} | Score: {rng.randint(20, 95)}.0\n\n"


def copro(rng: random.Random, split: Split) -> Episode:
    """COPRO's two prompts. With no examples in them, labels that speak for themselves are all one can explain."""
    while True:
        m = material(rng, split)
        if m.fits and all(c.label in m.bare for c in m.classes):
            break
    outputs = (
        Field("proposed_instruction", desc="The improved instructions for the language model"),
        Field("proposed_prefix_for_output_field", desc=PREFIX),
    )
    values = {"proposed_instruction": explained(rng, split, m, m.classes)}
    values["proposed_prefix_for_output_field"] = f"{m.answer.replace('_', ' ').title()}:"
    if rng.random() < 0.5:
        given = "you a ``signature`` of fields (inputs and outputs) in English. "
        aim = "an instruction that will lead a good language model to perform the task well."
        basic = Field("basic_instruction", desc="The initial instructions before optimization")
        sig = Sig((basic,), outputs, COPRO.format(given=given, aim=aim))
        return Episode(sig, ({"basic_instruction": m.bare, **values},), "proposing/copro")
    given = (
        "some task instructions I've tried, along with their corresponding validation scores. The instructions are "
        "arranged in increasing order based on their scores, where higher scores indicate better quality.\n\n"
    )
    aim = "a new instruction that will lead a good language model to perform the task even better."
    tried = []
    for i in range(1, rng.randint(2, 4)):
        tried += [f"Instruction #{i}: {m.bare}", f"Prefix #{i}: {m.answer.title()}:"]
        tried.append(f"Resulting Score #{i}: {rng.randint(20, 95)}.0")
    sig = Sig((Field("attempted_instructions"),), outputs, COPRO.format(given=given, aim=aim))
    return Episode(sig, ({"attempted_instructions": "\n".join(tried), **values},), "proposing/copro")
