# Writes jaxgan/_revision.txt into a wheel: the commit that it is built from, "unknown" outside a
# checkout of jaxgan, whatever other repository the sources lie in.
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)
set(revision unknown)
if(EXISTS "${root}/.git")
  execute_process(
    COMMAND git -C "${root}" describe --always --dirty --abbrev=12 --match ""
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
    RESULT_VARIABLE failed)
  if(NOT failed)
    set(revision "${described}")
  endif()
endif()
file(WRITE "${CMAKE_BINARY_DIR}/_revision.txt" "${revision}\n")
install(FILES "${CMAKE_BINARY_DIR}/_revision.txt" DESTINATION jaxgan)
