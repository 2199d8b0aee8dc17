"""`python -m api.command_line …` is `ruleforge …`."""

from api.command_line import main

if __name__ == "__main__":
    main()
