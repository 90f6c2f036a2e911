import sys

from deploy.demo.app import main

sys.exit(main())
