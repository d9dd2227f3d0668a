// etcd as its own main package builds it; that package lies in a module with replace directives, so it is not importable.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
