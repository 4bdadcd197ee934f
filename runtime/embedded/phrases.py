"""Phrases that DSPy's adapters and proposers repeat: each is one token, so that a prompt is short for the model.

Texts that differ from these (another version of DSPy, say) still encode, only longer.
"""

from __future__ import annotations

from .proposing import GEPA, GEPA_BARE, GEPA_EXAMPLES
from .proposing_dspy import CODE, COPRO, DESCRIBE_DATA, EXAMPLE, PRIOR, PROGRAM, PROPOSE, SUMMARIZE, SUMMARY, TIPS
from .tools import FINISH, REACT

_NOTE = "        # note: the value you produce "
_LEAD = "\nAll interactions will be structured in the following way, with the appropriate values filled in.\n\n"
_OBJECTIVE = "\nIn adhering to this structure, your objective is: \n        "
_SCHEMA = 'must adhere to the JSON schema: {"type": "'
_INDENT = "\n" + " " * 8
_SLOTS = ("{prior}", "{spelling}", "{what}", "{given}", "{aim}", "{ins}", "{outs}", "<curr_param>", "<side_info>")


def _prose(text: str) -> tuple[str, ...]:
    """The fixed parts of a template, paragraph by paragraph (that is how they stand in a system turn)."""
    for slot in _SLOTS:
        text = text.replace(slot, "\n\n")
    return tuple(p for p in text.split("\n") if len(p) > 12)


ADAPTER = (
    "Your input fields are:\n1. `",
    "\nYour output fields are:\n1. `",
    *(f"\n{i}. `" for i in range(2, 8)),
    "` (str):",
    "` (str): ",
    "` (Literal['",
    "` (int):",
    "` (list[str]):",
    "', '",
    "']):",
    "']): ",
    f"{_LEAD}[[ ## ",
    f"{_LEAD}Inputs will have the following structure:\n\n[[ ## ",
    '}\n\nOutputs will be a JSON object with the following fields.\n\n{\n  "',
    " ## ]]\n{",
    "}\n\n[[ ## ",
    '": "{',
    '}",\n  "',
    f'}}"\n}}{_OBJECTIVE}',
    f"}}{_NOTE}must exactly match (no extra characters) one of: ",
    f"}}{_NOTE}must be a single int value",
    f"}}{_NOTE}must be a single float value",
    f"}}{_NOTE}must be True or False",
    f'}}{_NOTE}{_SCHEMA}array", "items": {{"type": "string"}}}}',
    f'}}{_NOTE}{_SCHEMA}object", "additionalProperties": {{"type": "',
    f'}}{_NOTE}{_SCHEMA}object", "additionalProperties": true}}',
    f"\n\n[[ ## completed ## ]]{_OBJECTIVE}",
    f"}}\n\n[[ ## completed ## ]]{_OBJECTIVE}",
    _INDENT,
    "[[ ## ",
    "\n\n[[ ## ",
    " ## ]]\n",
    "\n\n[[ ## completed ## ]]\n",
    "\n\nRespond with the corresponding output fields, starting with the field `[[ ## ",
    "\n\nRespond with a JSON object in the following order of fields: `",
    "`, then `",
    " ## ]]`, then `[[ ## ",
    " ## ]]`, and then ending with the marker for `[[ ## completed ## ]]`.",
    " ## ]]` (must be formatted as a valid Python ",
    "` (must be formatted as a valid Python ",
    "), then `[[ ## ",
    "Literal['",
    "'])",
    "), and then ending with the marker for `[[ ## completed ## ]]`.",
    "']), and then ending with the marker for `[[ ## completed ## ]]`.",
    "Given the fields `",
    "`, produce the fields `",
    "This is an example of the task, though some input or output fields are not supplied.\n\n[[ ## ",
    "Not supplied for this particular example.",
)
PROPOSERS = (
    *(part for text in (GEPA, GEPA_BARE, GEPA_EXAMPLES) for part in _prose(text)),
    *(part for text in (CODE, COPRO, DESCRIBE_DATA, EXAMPLE, PRIOR, PROGRAM, PROPOSE) for part in _prose(text)),
    *(part for text in (SUMMARIZE, SUMMARY, REACT, FINISH, *TIPS) for part in _prose(text)),
    ", whose description is <desc>",
    "</desc>. It takes arguments {",
    "'}, '",
    "': {'type': 'string",
    "'}}.",
    "When providing `next_tool_args`, the value inside the field must be in JSON format",
    " = Field(annotation=",
    " required=True json_schema_extra={'desc': '${",
    "}', '__dspy_field_type': 'input', 'prefix': '",
    "}', '__dspy_field_type': 'output', 'prefix': '",
    ":'})\n    ",
    ":'})\n)\n\n\n\n",
    "StringSignature(",
    "\n    instructions='",
    "'\n    ",
    '(dspy.Signature):\n    """',
    '"""\n\n    ',
    ": str = dspy.InputField()\n    ",
    " = dspy.OutputField()\n",
    "(dspy.Module):\n    def __init__(self):\n        super().__init__()\n        self.",
    "\n\n    def forward(self, ",
    "):\n        return self.",
    "Example({'",
    "'}) (input_keys={'",
    "'}), Example({'",
    '"Inputs": {"',
    '"}, "Generated Outputs": {"',
    '"}, "Feedback": "',
    '"}, {"Inputs": {"',
    "## Inputs\n### ",
    "\n\n## Generated Outputs\n### ",
    "\n\n## Feedback\n",
)
PHRASES = tuple(dict.fromkeys((*ADAPTER, *PROPOSERS)))
