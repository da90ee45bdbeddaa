"""Arguments that a shell, a parser or an encoding would change if one came between the API and the program."""

ODD_ARGUMENTS = [
    "",
    " ",
    "two words",
    "new\nline",
    "ümläut 日本 🎉",
    "$HOME `id` 'q' \"dq\" \\",
    "-n",
    "*",
    "\t\x01\x7f",
    "",
]
