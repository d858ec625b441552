from depthmask.cli import main

main()
