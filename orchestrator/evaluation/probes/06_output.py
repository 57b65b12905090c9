# limit: output
# asked: killed when flooding
# ends as: killed
while True: os.write(1, b"x" * 65536)
