// Composecheck loads a Compose project as `docker compose` does, with the same library, and prints it as JSON.
//
//	composecheck FOLDER [PROFILE ...]
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder string, profiles []string) error {
	options, err := cli.NewProjectOptions(
		nil,
		cli.WithWorkingDirectory(folder),
		cli.WithOsEnv,
		cli.WithEnvFiles(),
		cli.WithDotEnv,
		cli.WithDefaultConfigPath,
		cli.WithDefaultProfiles(profiles...),
	)
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	rendered, err := project.MarshalJSON()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(rendered)
	return err
}
