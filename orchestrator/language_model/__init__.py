"""What the language model is asked, who answers, and the program in its answer."""
